import { hash as bcryptHash } from '@node-rs/bcrypt'
import { hash as argon2Hash, argon2id } from 'argon2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { passwordsSection } from '../../src/config/sections/passwords.ts'
import { UnavailableError } from '../../src/errors.ts'
import { createHashingQueue } from '../../src/users/hashing-queue.ts'
import { createPasswords, type Passwords } from '../../src/users/passwords.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let passwords: Passwords

beforeAll(async () => {
  database = await createTestDatabase()
  const config = passwordsSection.parse({ bcrypt_pepper: 'pepper!' })
  passwords = createPasswords({ db: database.knex, config })
})
afterAll(() => database.close())

describe('a password', () => {
  it('is hashed with argon2id, 19 MiB, two passes, one lane', async () => {
    expect(await passwords.hash('tulip kettle')).toMatch(
      /^\$argon2id\$v=19\$m=19456,p=1,t=2\$|m=19456,t=2,p=1\$/,
    )
  })

  it.each([
    ['of 64 characters', 'a'.repeat(64)],
    ['of 72 characters', 'a'.repeat(72)],
    ['of 200 characters', 'a'.repeat(200)],
    ['with a NUL byte', 'tulip\0kettle'],
  ])('check 62: %s is compared exactly, without truncation', async (_name, password) => {
    const stored = await passwords.hash(password)
    expect(await passwords.check(password, stored)).toEqual({ ok: true, upgraded: undefined })
    expect(await passwords.check(`${password}x`, stored)).toEqual({ ok: false })
    expect(await passwords.check(`${password.slice(0, -1)}x`, stored)).toEqual({ ok: false })
    expect(await passwords.check(password.slice(0, -1), stored)).toEqual({ ok: false })
  })

  it('check 62: a megabyte is refused before it is hashed', async () => {
    const config = passwordsSection.parse({ max_concurrent: 1, max_queue: 0 })
    const busy = createPasswords({ db: database.knex, config })
    const hashing = busy.hash('tulip kettle')
    await expect(busy.check('tulip kettle', undefined)).rejects.toThrow(UnavailableError)
    expect(await busy.check('a'.repeat(1_048_576), undefined)).toEqual({ ok: false })
    await hashing
  })

  it('check 62: the same characters in another form of Unicode are the same password', async () => {
    const stored = await passwords.hash('caf\u00e9 ﬁnch')
    expect(await passwords.check('cafe\u0301 finch', stored)).toMatchObject({ ok: true })
  })

  it('is hashed anew after a right one where the parameters have changed', async () => {
    const old = await argon2Hash('tulip kettle', {
      type: argon2id,
      memoryCost: 8192,
      timeCost: 1,
      parallelism: 1,
    })
    const check = await passwords.check('tulip kettle', old)
    expect(check).toMatchObject({ ok: true, upgraded: expect.stringContaining('m=19456') })
    expect(await passwords.check('wrong', old)).toEqual({ ok: false })
  })

  it('that is missing, or stored in a form that nobody knows, is never right', async () => {
    expect(await passwords.check('', undefined)).toEqual({ ok: false })
    expect(await passwords.check('x', '')).toEqual({ ok: false })
    expect(await passwords.check('x', '$1$abc$def')).toEqual({ ok: false })
    expect(await passwords.check('x', '$2b$nonsense')).toEqual({ ok: false })
  })
})

describe('an imported bcrypt password', () => {
  const synapse = (password: string) =>
    bcryptHash(Buffer.from(`${password.normalize('NFKC')}pepper!`).subarray(0, 72), 4)

  it.each(['$2a$', '$2b$', '$2y$'])(
    'with the prefix %s is right with its pepper, and upgraded',
    async (prefix) => {
      const stored = (await synapse('tulip kettle')).replace('$2b$', prefix)
      const check = await passwords.check('tulip kettle', stored)
      expect(check).toMatchObject({ ok: true, upgraded: expect.stringMatching(/^\$argon2id\$/) })
      expect(await passwords.check('tulip kettlepepper!', stored)).toEqual({ ok: false })
    },
  )

  it('check 62: is normalised and cut to 72 bytes as Synapse does, even inside a character', async () => {
    const password = `a${'é'.repeat(40)}`
    const stored = await synapse(password)
    expect(await passwords.check(password.normalize('NFD'), stored)).toMatchObject({ ok: true })
    expect(await passwords.check(password.slice(1), stored)).toEqual({ ok: false })
  })
})

describe('check 61: the queue of password checks', () => {
  it('runs so many at a time, lets so many wait, and refuses the rest with a time to come back', async () => {
    const queue = createHashingQueue(2, 3)
    const finish: (() => void)[] = []
    let running = 0
    let most = 0
    const work = async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise<void>((resolve) => finish.push(resolve))
      running -= 1
    }
    const accepted = Array.from({ length: 5 }, () => queue(work))
    await expect(queue(work)).rejects.toThrow(UnavailableError)
    await expect(queue(work)).rejects.toMatchObject({ status: 503, retryAfterSeconds: 2 })
    for (let done = 0; done < 5; done++) {
      await new Promise((resolve) => setImmediate(resolve))
      finish.shift()?.()
    }
    await Promise.all(accepted)
    expect(most).toBe(2)
    const later = queue(async () => 'free again')
    expect(await later).toBe('free again')
  })
})
