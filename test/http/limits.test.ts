import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { limitsSection } from '../../src/config/sections/limits.ts'
import { LimitedError } from '../../src/errors.ts'
import { createLimits, type Limits } from '../../src/limits/limits.ts'
import { createPool } from '../../src/storage/pool.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createStillClock } from '../support/still-clock.ts'

let database: TestDatabase
let limits: Limits
const clock = createStillClock()
let name: string
let round = 0

beforeAll(async () => {
  database = await createTestDatabase()
  limits = createLimits({ db: database.knex, clock, config: limitsSection.parse({}) })
})
afterAll(() => database.close())
beforeEach(async () => {
  await database.knex('rate_limits').delete()
  name = `user${round++}`
})

/** How many of so many failing attempts get through. */
async function failures(count: number, ipOf: (index: number) => string, nameOf = (_index: number) => name) {
  let passed = 0
  for (let index = 0; index < count; index++) {
    try {
      await limits.signIn.begin({ ip: ipOf(index), name: nameOf(index) })
      passed += 1
    } catch (error) {
      if (!(error instanceof LimitedError)) throw error
    }
  }
  return passed
}

const oneIp = () => '192.0.2.1'
const manyIps = (index: number) => `198.51.100.${index}`

describe('check 60: wrong passwords', () => {
  it('from one address for one name are limited, with the seconds to wait', async () => {
    expect(await failures(50, oneIp)).toBe(10)
    const error = await limits.signIn.begin({ ip: oneIp(), name }).catch((e) => e)
    expect(error).toMatchObject({ status: 429, code: 'limited' })
    expect(error.retryAfterSeconds).toBe(300)
  })

  it('count anew once the time since the first one is over', async () => {
    await failures(5, oneIp)
    clock.advance(299)
    expect(await failures(50, oneIp)).toBe(5)
    clock.advance(1)
    expect(await failures(50, oneIp)).toBe(10)
  })

  it('from one address for many names are limited', async () => {
    expect(await failures(50, oneIp, (index) => `name${index}`)).toBe(30)
  })

  it('from one IPv6 network are limited together', async () => {
    expect(await failures(50, (index) => `2001:db8:1:2::${index + 1}`)).toBe(10)
  })

  it('from many addresses for one name are limited, in whatever case it is written', async () => {
    const cased = (index: number) => (index % 2 ? name.toUpperCase() : name)
    expect(await failures(50, manyIps, cased)).toBe(40)
  })

  it('that turn out to be none are given back, many at once', async () => {
    const attempts = await Promise.all(
      Array.from({ length: 10 }, () => limits.signIn.begin({ ip: oneIp(), name })),
    )
    await expect(limits.signIn.begin({ ip: oneIp(), name })).rejects.toMatchObject({ code: 'limited' })
    await Promise.all(attempts.map((one, n) => (n % 2 ? one.giveBack() : one.succeed())))
    // The refused one counts, too.
    expect(await failures(50, oneIp)).toBe(9)
  })

  it('from a stranger leave the owner alone, who comes from another address', async () => {
    await failures(50, oneIp)
    await expect(limits.signIn.begin({ ip: '203.0.113.9', name })).resolves.toBeDefined()
  })

  it('from everywhere leave the owner alone at an address where a sign-in went well before', async () => {
    const home = { ip: '203.0.113.9', name }
    await (await limits.signIn.begin(home)).succeed()
    await failures(50, manyIps)
    await expect(limits.signIn.begin({ ip: '203.0.113.10', name })).rejects.toThrow(LimitedError)
    await expect(limits.signIn.begin(home)).resolves.toBeDefined()
  })

  it('are counted before they are compared, so that many at once cannot slip through', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, () => limits.signIn.begin({ ip: oneIp(), name })),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(10)
  })

  it('of an address that is refused use up no points of a name', async () => {
    await failures(30, oneIp, (index) => `name${index}`)
    expect(await failures(50, oneIp)).toBe(0)
    expect(await database.knex('rate_limits').where('key', 'like', 'sign_in_name%')).toHaveLength(60)
  })

  it('are counted and given back beside each other without a deadlock', async () => {
    const one = async (index: number) => {
      const attempt = await limits.signIn.begin({ ip: manyIps(index % 3), name: `${name}${index % 2}` })
      await (index % 4 ? attempt.giveBack() : attempt.succeed())
    }
    // No more at once than an address may have.
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 12 }, (_, index) => one(index)))
    }
    expect(
      await database.knex('rate_limits').whereNot('points', 0).andWhere('key', 'not like', 'sign_in_known%'),
    ).toEqual([])
  })

  it('are still counted by another process, and after a restart', async () => {
    await failures(50, oneIp)
    const pool = createPool(database.clientConfig, 2)
    const other = createLimits({ db: pool, clock, config: limitsSection.parse({}) })
    await expect(other.signIn.begin({ ip: oneIp(), name })).rejects.toThrow(LimitedError)
    await pool.destroy()
  })

  it('are not stored with the name that was typed', async () => {
    await failures(1, oneIp)
    const keys: string[] = await database.knex('rate_limits').pluck('key')
    expect(keys.length).toBeGreaterThan(2)
    expect(keys.join()).not.toContain(name)
  })
})

describe('attempts that count nothing', () => {
  it('are right passwords, however many', async () => {
    for (let index = 0; index < 50; index++)
      await (await limits.signIn.begin({ ip: oneIp(), name })).succeed()
    expect(await failures(50, oneIp)).toBe(10)
  })

  it("are those given back, which don't help to guess another name", async () => {
    await failures(10, oneIp)
    for (let index = 0; index < 15; index++) {
      await (await limits.signIn.begin({ ip: oneIp(), name: 'mine' })).giveBack()
    }
    expect(await failures(1, oneIp)).toBe(0)
  })
})

describe('other limits', () => {
  it('check 40: user codes typed in from one address are limited', async () => {
    const results = []
    for (let index = 0; index < 15; index++) {
      results.push(
        await limits.userCode.begin(oneIp()).then(
          () => 'passed',
          (error) => error.code,
        ),
      )
    }
    expect(results.filter((result) => result === 'passed')).toHaveLength(10)
    expect(results.at(-1)).toBe('limited')
    await expect(limits.userCode.begin('203.0.113.9')).resolves.toBeDefined()
  })

  it('registrations from one address are limited', async () => {
    for (let index = 0; index < 100; index++) await limits.registration.take(oneIp())
    await expect(limits.registration.take(oneIp())).rejects.toThrow(LimitedError)
  })
})
