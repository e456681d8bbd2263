import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findUserByLocalpart, listUsers } from '../../src/users/store.ts'
import { type AccountsWorld, createAccountsWorld, GOOD_PASSWORD, OPERATOR } from '../support/accounts.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let world: AccountsWorld

beforeEach(async () => {
  database = await createTestDatabase()
  world = createAccountsWorld(database.knex)
})
afterEach(async () => {
  await world.close()
  await database.close()
})

const browser = { ip: '192.0.2.1' }

async function issue(): Promise<string> {
  const path = await world.firstAdmin.issue()
  expect(path).toMatch(/^\/setup\/[A-Za-z0-9_-]{43}$/)
  return path!.slice('/setup/'.length)
}
const redeem = (ticket: string, localpart: string, password = GOOD_PASSWORD) =>
  world.firstAdmin.redeem(ticket, { localpart, password }, browser)

describe("the first administrator's link", () => {
  it('makes an admin who can sign in, once', async () => {
    const ticket = await issue()
    expect(await world.firstAdmin.isValid(ticket)).toBe(true)
    expect(await redeem(ticket, 'alice')).toMatchObject({ localpart: 'alice', isAdmin: true })
    expect(await world.firstAdmin.isValid(ticket)).toBe(false)
    await expect(redeem(ticket, 'bob')).rejects.toMatchObject({ code: 'ticket_invalid', status: 410 })
    const signedIn = await world.signIn({ identifier: 'alice', password: GOOD_PASSWORD, ...browser })
    expect(signedIn).toMatchObject({ ok: true })
    expect(await world.auditEvents()).toEqual(['user.added', 'sign_in.succeeded'])
  })

  it('is not made where somebody is an admin, and is again where nobody is any longer', async () => {
    const { id } = await world.addUser.add({ localpart: 'root.admin', admin: true }, OPERATOR)
    expect(await world.firstAdmin.issue()).toBeUndefined()
    await world.accounts.setAdmin(id, false, OPERATOR)
    await issue()
  })

  it('stops working when somebody became an admin otherwise', async () => {
    const ticket = await issue()
    await world.addUser.add({ localpart: 'root.admin', admin: true }, OPERATOR)
    expect(await world.firstAdmin.isValid(ticket)).toBe(false)
    await expect(redeem(ticket, 'alice')).rejects.toMatchObject({ code: 'ticket_invalid' })
  })

  it('expires after an hour', async () => {
    const ticket = await issue()
    world.clock.advance(3599)
    expect(await world.firstAdmin.isValid(ticket)).toBe(true)
    world.clock.advance(1)
    expect(await world.firstAdmin.isValid(ticket)).toBe(false)
    await expect(redeem(ticket, 'alice')).rejects.toMatchObject({ code: 'ticket_invalid' })
  })

  it('is still good after a name or password that was refused', async () => {
    const ticket = await issue()
    await expect(redeem(ticket, 'Alice')).rejects.toMatchObject({ code: 'invalid_localpart' })
    await expect(redeem(ticket, 'alice', 'short')).rejects.toMatchObject({ code: 'password_too_short' })
    expect(await redeem(ticket, 'alice')).toMatchObject({ isAdmin: true })
  })

  it.each(['', 'x', 'a'.repeat(43), 'a\0b'])('does not work as %j', async (ticket) => {
    await expect(redeem(ticket, 'alice')).rejects.toMatchObject({ code: 'ticket_invalid' })
  })

  it('is stored as a hash', async () => {
    const ticket = await issue()
    const rows = await database.knex('tickets').select(database.knex.raw('tickets::text as row'))
    expect(rows).toHaveLength(1)
    expect(rows[0].row).not.toContain(ticket)
    expect(rows[0].row).not.toContain(Buffer.from(ticket).toString('hex'))
  })

  it('used twenty times at once, with two links of two processes, makes one admin', async () => {
    const tickets = [await issue(), await issue()]
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => redeem(tickets[index % 2]!, `admin.${index}`)),
    )
    const winners = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    expect(winners).toHaveLength(1)
    expect(await listUsers(database.knex)).toMatchObject(winners)
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
    expect(new Set(reasons)).toEqual(new Set(['ticket_invalid']))
    expect(await findUserByLocalpart(database.knex, winners[0]!.localpart)).toMatchObject({ isAdmin: true })
  })
})
