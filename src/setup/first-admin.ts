import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import { hashSecret } from '../tokens/format.ts'
import type { AddUser, NewUser } from '../users/add-user.ts'
import { hasAdmin, type User } from '../users/store.ts'
import { consumeSetupTicket, insertSetupTicket, isSetupTicketValid, lockSetup } from './store.ts'

const TTL_MS = 3_600_000
const TICKET = /^[A-Za-z0-9_-]{43}$/

/** The first administrator's account is made on a page that only a link in the log leads to. */
export function createFirstAdmin(deps: {
  db: Knex
  clock: Clock
  addUser: Pick<AddUser, 'prepare' | 'addPrepared'>
}) {
  const { db, clock, addUser } = deps

  /**
   * Makes a ticket that is valid for one hour and once, and returns the path of its page. Undefined where somebody
   * is an admin already.
   */
  async function issue(): Promise<string | undefined> {
    if (await hasAdmin(db)) return undefined
    const ticket = randomBytes(32).toString('base64url')
    const createdAt = clock.now()
    const expiresAt = new Date(createdAt.getTime() + TTL_MS)
    await insertSetupTicket(db, { hash: hashSecret(ticket), createdAt, expiresAt })
    return `/setup/${ticket}`
  }

  /** Whether the link still works, for showing its page; `redeem` decides. */
  async function isValid(ticket: string): Promise<boolean> {
    if (!TICKET.test(ticket) || (await hasAdmin(db))) return false
    return isSetupTicketValid(db, hashSecret(ticket), clock.now())
  }

  /**
   * Makes the first admin and consumes the ticket, both or neither: a refused name or password leaves the ticket
   * valid. Throws `ticket_invalid` where it was used, has expired, or there is an admin, and what adding a user
   * throws.
   */
  async function redeem(
    ticket: string,
    user: Pick<NewUser, 'localpart' | 'adopt'> & { password: string },
    browser: { ip: string; userAgent?: string | undefined },
  ): Promise<User> {
    // Before anything that costs: a stranger must not have passwords hashed here.
    if (!(await isValid(ticket))) throw ticketInvalid()
    const prepared = await addUser.prepare({ ...user, admin: true })
    return db.transaction(async (trx) => {
      await lockSetup(trx)
      if (await hasAdmin(trx)) throw ticketInvalid()
      if (!(await consumeSetupTicket(trx, hashSecret(ticket), clock.now()))) throw ticketInvalid()
      return addUser.addPrepared(trx, prepared, { actor: 'operator', ...browser })
    })
  }

  return { issue, isValid, redeem }
}

function ticketInvalid(): PosternError {
  return new PosternError('ticket_invalid', 'This link has been used or has expired', { status: 410 })
}

export type FirstAdmin = ReturnType<typeof createFirstAdmin>
