import type { Knex } from 'knex'
import { recordAudit } from '../audit/store.ts'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { Homeserver } from '../homeserver/client.ts'
import { newId } from '../ids.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { By } from './by.ts'
import { parseLocalpart, parseUserIdentifier } from './localpart.ts'
import type { Passwords } from './passwords.ts'
import { findUserByLocalpart, insertUser, setPasswordHash, type User } from './store.ts'

export interface NewUser {
  localpart: string
  /** Without one the user cannot sign in with a password until one is set. */
  password?: string | undefined
  admin?: boolean | undefined
  /** Take over a user who exists on the homeserver already. */
  adopt?: boolean | undefined
}

/** A new user whose name and password have been checked; the password is a hash by now. */
export interface PreparedUser {
  localpart: string
  hash: string | undefined
  admin: boolean
  adopt: boolean
}

export interface AddUserDeps {
  db: Knex
  clock: Clock
  passwords: Passwords
  homeserver: Homeserver
  jobs: Pick<Jobs, 'enqueue'>
  serverName: string
}

const takenMessages = {
  in_use: 'The homeserver has a user of this name already: choose another name, or adopt the user (--adopt)',
  invalid: 'The homeserver does not accept this user name: choose another',
  exclusive: 'An appservice of the homeserver owns names like this: choose another',
} as const

/** Adding a user in two steps, so that neither the homeserver nor a hash is waited for inside a transaction. */
export function createAddUser({ db, clock, passwords, homeserver, jobs, serverName }: AddUserDeps) {
  function exists(localpart: string): PosternError {
    return new PosternError('user_exists', `There is a user ${localpart} already`, { status: 409 })
  }

  /** A user of the homeserver is never taken over silently: whoever has that name there may be someone else. */
  async function checkedLocalpart(input: string, adopt: boolean): Promise<string> {
    if (adopt) {
      const existing = parseUserIdentifier(input, serverName)
      if (existing !== undefined && (await homeserver.queryUser(existing))) return existing
    }
    const localpart = parseLocalpart(input, serverName)
    const availability = await homeserver.isLocalpartAvailable(localpart)
    if (availability.available) return localpart
    throw new PosternError(`localpart_${availability.reason}`, takenMessages[availability.reason], {
      status: 409,
    })
  }

  /** Checks everything that can be checked beforehand. Throws what `add` throws. */
  async function prepare({ localpart: input, password, admin = false, adopt = false }: NewUser) {
    if (!adopt) parseLocalpart(input, serverName)
    if (await findUserByLocalpart(db, input)) throw exists(input)
    if (password !== undefined) passwords.assertAcceptable(password, input)
    const localpart = await checkedLocalpart(input, adopt)
    const hash = password === undefined ? undefined : await passwords.hash(password)
    return { localpart, hash, admin, adopt } satisfies PreparedUser
  }

  /** Adds a prepared user in the caller's transaction. Throws `user_exists`. */
  async function addPrepared(trx: Knex, user: PreparedUser, by: By): Promise<User> {
    const at = clock.now()
    const id = newId(at)
    const { localpart, admin } = user
    // A name that differs only in case from an imported one would be the same user to the homeserver.
    if (await findUserByLocalpart(trx, localpart)) throw exists(localpart)
    if (!(await insertUser(trx, { id, localpart, createdAt: at, isAdmin: admin }))) throw exists(localpart)
    if (user.hash !== undefined) await setPasswordHash(trx, id, user.hash, at)
    const details = { localpart, admin, adopted: user.adopt }
    await recordAudit(trx, at, { event: 'user.added', ...by, userId: id, details })
    await jobs.enqueue(trx, 'user.sync', { userId: id }, { userId: id })
    return {
      id,
      localpart,
      createdAt: at,
      lockedAt: null,
      deactivatedAt: null,
      isAdmin: admin,
      provisionedAt: null,
    }
  }

  /**
   * Adds a user. Throws `invalid_localpart`, `user_exists`, `localpart_in_use` and its kin, one of
   * `PasswordRefusal`, HomeserverError, UnavailableError.
   */
  async function add(user: NewUser, by: By): Promise<User> {
    const prepared = await prepare(user)
    return db.transaction((trx) => addPrepared(trx, prepared, by))
  }

  return { prepare, addPrepared, add }
}

export type AddUser = ReturnType<typeof createAddUser>
