import { hash as bcryptHash } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimitedError } from '../../src/errors.ts'
import { findUserByLocalpart, getPasswordHash, setPasswordHash } from '../../src/users/store.ts'
import { type AccountsWorld, createAccountsWorld, GOOD_PASSWORD, OPERATOR } from '../support/accounts.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const NO_LIMITS = {
  sign_in_per_address: { points: 100_000, per_seconds: 300 },
  sign_in_per_user: { points: 100_000, per_seconds: 300 },
}

let database: TestDatabase
let world: AccountsWorld

beforeAll(async () => {
  database = await createTestDatabase()
  world = createAccountsWorld(database.knex, { limits: NO_LIMITS })
})
afterAll(async () => {
  await world.close()
  await database.close()
})

const ip = '192.0.2.1'
const attempt = (identifier: string, password = GOOD_PASSWORD) => world.signIn({ identifier, password, ip })

async function newUser(localpart: string, password: string | null = GOOD_PASSWORD) {
  return world.addUser.add({ localpart, password: password ?? undefined }, OPERATOR)
}

/** An imported user: the name is taken as it is, and the password is a bcrypt hash of low cost. */
async function importedUser(localpart: string, cost = 4) {
  const user = await newUser(localpart.toLowerCase())
  await database.knex('users').where({ localpart: user.localpart }).update({ localpart })
  await setPasswordHash(database.knex, user.id, await bcryptHash(GOOD_PASSWORD, cost), world.clock.now())
  return user
}

describe('signing in with a password', () => {
  it.each(['alice', '@alice:example.org', 'ALICE'])('works as %s', async (identifier) => {
    if (!(await findUserByLocalpart(database.knex, 'alice'))) await newUser('alice')
    expect(await attempt(identifier)).toMatchObject({ ok: true, user: { localpart: 'alice' } })
    expect(await attempt(identifier, 'wrong')).toEqual({ ok: false, reason: 'credentials' })
  })

  it('finds the exact name first, and none where several differ only in case', async () => {
    await importedUser('Bob')
    expect(await attempt('bob')).toMatchObject({ ok: true, user: { localpart: 'Bob' } })
    const twin = await newUser('bobby')
    await database.knex('users').where({ localpart: 'bobby' }).update({ localpart: 'BOB' })
    expect(await attempt('BOB')).toMatchObject({ ok: true, user: { id: twin.id } })
    expect(await attempt('Bob')).toMatchObject({ ok: true, user: { localpart: 'Bob' } })
    expect(await attempt('bob')).toEqual({ ok: false, reason: 'credentials' })
  })

  it('fails for a user of another server, and for what cannot be a name', async () => {
    for (const identifier of ['@alice:other.org', 'a\0b', '', "' OR 1=1--", 'x'.repeat(10_000), '\ud800']) {
      expect(await attempt(identifier)).toEqual({ ok: false, reason: 'credentials' })
    }
  })

  it('says that an account is locked or deactivated after the right password, and only then', async () => {
    const { id } = await newUser('carol')
    await world.accounts.lock(id, OPERATOR)
    expect(await attempt('carol')).toEqual({ ok: false, reason: 'locked' })
    expect(await attempt('carol', 'wrong')).toEqual({ ok: false, reason: 'credentials' })
    await world.accounts.deactivate(id, { erase: false }, OPERATOR)
    expect(await attempt('carol')).toEqual({ ok: false, reason: 'deactivated' })
    expect(await attempt('carol', 'wrong')).toEqual({ ok: false, reason: 'credentials' })
    await world.accounts.unlock(id, OPERATOR)
    await world.accounts.reactivate(id, OPERATOR)
    expect(await attempt('carol')).toMatchObject({ ok: true })
  })

  it('is recorded, without the password and with the typed name cleaned', async () => {
    await attempt('dave\u202e\r\nroot', 'a secret password')
    const event = await database.knex('audit_events').orderBy('id', 'desc').first()
    expect(event).toMatchObject({ event: 'sign_in.failed', ip, user_id: null })
    expect(event.details).toEqual({ method: 'password', reason: 'credentials', typed: 'daveroot' })
    expect(JSON.stringify(event)).not.toContain('a secret password')
  })

  it('makes the browser session in the transaction that records it', async () => {
    const { id } = await newUser('erin')
    const before = await world.auditEvents()
    const failing = world.signIn({ identifier: 'erin', password: GOOD_PASSWORD, ip }, async (trx, user) => {
      await world.browserSessions.start(trx, user, { ip })
      throw new Error('the database went away')
    })
    await expect(failing).rejects.toThrow('went away')
    expect(await world.browserSessions.listFor(id)).toEqual([])
    expect(await world.auditEvents()).toEqual(before)
    const done = await world.signIn({ identifier: 'erin', password: GOOD_PASSWORD, ip }, (trx, user) =>
      world.browserSessions.start(trx, user, { ip }),
    )
    expect(done).toMatchObject({ ok: true, value: { session: { userId: id } } })
    expect(await world.auditEvents()).toEqual([...before, 'sign_in.succeeded'])
  })

  it('upgrades an imported password, also where twenty come at once', async () => {
    const { id } = await importedUser('frank')
    const results = await Promise.all(Array.from({ length: 20 }, () => attempt('frank')))
    expect(results.filter((result) => result.ok)).toHaveLength(20)
    expect(await getPasswordHash(database.knex, id)).toMatch(/^\$argon2id\$/)
    expect(await attempt('frank', 'wrong')).toEqual({ ok: false, reason: 'credentials' })
  })

  it('is refused where passwords are switched off', async () => {
    const off = createAccountsWorld(database.knex, { passwords: { enabled: false } })
    const result = off.signIn({ identifier: 'alice', password: GOOD_PASSWORD, ip })
    await expect(result).rejects.toMatchObject({ code: 'passwords_disabled' })
  })
})

describe('check 60: limits', () => {
  it('hold the wrong passwords of known and unknown names back, and let the owner in from elsewhere', async () => {
    const limited = createAccountsWorld(database.knex)
    await newUser('grace')
    for (const identifier of ['grace', 'nobody-of-that-name']) {
      const results = []
      for (let index = 0; index < 12; index++) {
        const request = { identifier, password: 'wrong', ip: '198.51.100.7' }
        results.push(await limited.signIn(request).catch((error) => error))
      }
      expect(results.slice(0, 10)).toEqual(Array(10).fill({ ok: false, reason: 'credentials' }))
      expect(results.at(-1)).toBeInstanceOf(LimitedError)
    }
    const elsewhere = { identifier: 'grace', password: GOOD_PASSWORD, ip: '203.0.113.5' }
    expect(await limited.signIn(elsewhere)).toMatchObject({ ok: true })
    await limited.close()
  })
})

describe('check 58: a stranger learns nothing from the time', () => {
  /**
   * The names take turns, so that a busy machine slows all of them alike. Whatever else it does makes some attempts slower
   * and none faster: the quicker half tells.
   */
  async function typical(names: string[], rounds: number): Promise<number[]> {
    const samples = names.map((): number[] => [])
    for (let index = 0; index < rounds; index++) {
      for (const [at, name] of names.entries()) {
        const before = performance.now()
        expect(await attempt(name, 'wrong password')).toEqual({ ok: false, reason: 'credentials' })
        samples[at]!.push(performance.now() - before)
      }
    }
    return samples.map((times) => times.sort((a, b) => a - b)[Math.floor(rounds / 4)]!)
  }

  const tolerance = (times: number[]) => Math.max(5, Math.min(...times) * 0.1)

  beforeAll(async () => {
    await newUser('heidi')
    await newUser('ivan', null)
    await world.accounts.lock((await newUser('judy')).id, OPERATOR)
    await database.knex('user_passwords').whereRaw("hash like '$2%'").delete()
  })

  it('whether the name is unknown, known, without a password or locked', {
    retry: 2,
    timeout: 180_000,
  }, async () => {
    const times = await typical(['nobody-there', 'heidi', 'ivan', 'judy'], 50)
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan(tolerance(times))
  })

  it('whether the password was imported or not, while imported ones remain', {
    retry: 2,
    timeout: 180_000,
  }, async () => {
    if (!(await findUserByLocalpart(database.knex, 'leo'))) {
      await importedUser('leo', 7)
      await importedUser('mallory', 9)
    }
    const times = await typical(['nobody-there', 'heidi', 'leo', 'mallory'], 40)
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan(tolerance(times))
  })
})
