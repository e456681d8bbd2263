import type { Knex } from 'knex'
import type { AuditEvent } from '../../audit/store.ts'
import type { Clock } from '../../clock.ts'
import { PosternError, UnavailableError } from '../../errors.ts'
import { gateOf } from '../../homeserver/gate.ts'
import { announceDevice } from '../../homeserver/store.ts'
import { newId } from '../../ids.ts'
import { hashSecret } from '../../tokens/format.ts'
import { lockUserRow, type User } from '../../users/store.ts'
import type { Newcomer, SessionLimits } from '../session-limit.ts'
import type { Ended, SessionActor, Sessions } from '../sessions.ts'
import { findLiveByDeviceForUpdate, type SessionKind } from '../store.ts'
import { type HeldUser, holdUserWithDevices, insertSession } from './store.ts'

/** A sign-in on a device, a device-less grant of a user, or a client on its own (no user). */
export interface SessionStart {
  /** Its ID, where that was chosen before (an id_token that was signed names it). */
  id?: string
  kind: SessionKind
  user: User | undefined
  clientId: string | null
  deviceId: string | null
  /** Whether the device's ID was just made up here, so that no session can have it. */
  deviceIsNew?: boolean
  /** The device's name at the homeserver where the device is new. */
  deviceName: string | null
  /** What the session is called in lists, where its client has no name for it. */
  name?: string | null
  scope: string
  browserSessionId: string | null
  ip: string | null
  userAgent: string | null
  accessToken: string
  /** Seconds; null for a token that never expires. */
  accessTokenTtl: number | null
  refreshToken: string | null
  /** The appservice that signs in: its sessions are not limited. */
  appservice?: string | undefined
  /** Who starts it, for the audit table, where it is not the user or, without one, the client. */
  by?: SessionActor | undefined
  /** What the audit table is to know beside `session.started`; the session's ID is put to it. */
  event?: AuditEvent | undefined
  /**
   * Consumes what the session is made from (a code, a ticket) by one conditional UPDATE in the same transaction.
   * @throws when it has been consumed already, so that nothing of the session stands
   */
  consume: (trx: Knex, sessionId: string) => Promise<void>
}

export interface SessionStarterDeps {
  db: Knex
  clock: Clock
  sessions: Sessions
  /** Seconds after which a session ends whatever happens; null for never. */
  absoluteLimit: number | null
  provisionUser: (user: User) => Promise<void>
  upsertDevice: (localpart: string, deviceId: string, displayName: string | null) => Promise<void>
  sessionLimit: Pick<SessionLimits, 'assertRoom' | 'makeRoom'>
}

/** The user was deactivated while the sign-in was under way. */
export class UserGoneError extends PosternError {
  constructor() {
    super('invalid_grant', 'This account is gone', { status: 403 })
  }
}

const ATTEMPTS = 3

/** Starts sessions of every kind: device first, then one transaction (invariants 3, 4 and 6). */
export function createSessionStarter(deps: SessionStarterDeps) {
  const { db, clock, sessions, absoluteLimit, provisionUser, upsertDevice, sessionLimit } = deps

  /** When the session ends by itself: at its absolute limit, and with an access token that nothing can follow. */
  function endOf(start: SessionStart, now: Date): Date | null {
    const own = start.refreshToken === null ? start.accessTokenTtl : null
    const seconds = Math.min(absoluteLimit ?? Infinity, own ?? Infinity)
    return seconds === Infinity ? null : new Date(now.getTime() + seconds * 1000)
  }

  /** What the limit of sessions is to know of a start; nothing where it is not held to one. */
  function newcomer({ kind, user, deviceId, appservice }: SessionStart): Newcomer | undefined {
    return user && kind !== 'personal' && appservice === undefined ? { user, kind, deviceId } : undefined
  }

  /**
   * Of a user whose row is locked until the commit, so that a deactivation beside this sign-in finds the session and
   * ends it.
   * @throws UserGoneError
   */
  function present<Held extends User>(held: Held | undefined): Held {
    if (!held || held.deactivatedAt) throw new UserGoneError()
    return held
  }

  /** @returns what ended to make room, to be settled after the commit */
  async function insert(trx: Knex, start: SessionStart, id: string): Promise<Ended[]> {
    const now = clock.now()
    const userId = start.user?.id ?? null
    const by = start.by ?? (userId ? { actor: 'user', actorUserId: userId } : { actor: 'client' })
    if (userId && start.deviceId && !start.deviceIsNew) {
      const older = await findLiveByDeviceForUpdate(trx, userId, start.deviceId)
      // Invariant 3: a sign-in that reuses the device replaces its session; the device itself stays.
      if (older) await sessions.endWithin(trx, older.id, 'replaced', by)
    }
    const limited = newcomer(start)
    const ended = limited ? await sessionLimit.makeRoom(trx, limited) : []
    const session = {
      id,
      kind: start.kind,
      userId,
      clientId: start.clientId,
      deviceId: start.deviceId,
      scope: start.scope,
      browserSessionId: start.browserSessionId,
      createdAt: now,
      expiresAt: endOf(start, now),
      ip: start.ip,
      userAgent: start.userAgent,
      name: start.name ?? null,
      appservice: start.appservice ?? null,
    }
    const tokens = {
      accessHash: hashSecret(start.accessToken),
      accessExpiresAt:
        start.accessTokenTtl === null ? null : new Date(now.getTime() + start.accessTokenTtl * 1000),
      refreshHash: start.refreshToken === null ? null : hashSecret(start.refreshToken),
    }
    const started: AuditEvent = {
      event: 'session.started',
      actor: by.actor,
      userId: userId ?? undefined,
      sessionId: id,
      clientId: start.clientId ?? undefined,
      ip: start.ip ?? undefined,
      userAgent: start.userAgent ?? undefined,
      details: { kind: start.kind, device_id: start.deviceId, scope: start.scope },
    }
    const events = start.event ? [{ ...start.event, sessionId: id }, started] : [started]
    await insertSession(trx, session, tokens, events)
    return ended
  }

  /** Runs `fn` in a transaction in which nobody makes or deletes devices of the user. @throws UserGoneError */
  async function withDevicesHeld<T>(user: User, fn: (trx: Knex, held: HeldUser) => Promise<T>): Promise<T> {
    return gateOf(db).run(() =>
      db.transaction(async (trx) => fn(trx, present(await holdUserWithDevices(trx, user.id)))),
    )
  }

  /**
   * Makes the device at the homeserver and then the session with its tokens. When the homeserver is away nothing
   * is consumed, so that the same request works again.
   * @returns the session's ID
   * @throws what `consume` throws; UnavailableError or HomeserverError when the homeserver cannot be reached
   */
  return async function startSession(start: SessionStart): Promise<string> {
    const { user, deviceId } = start
    const limited = newcomer(start)
    if (limited) await sessionLimit.assertRoom(limited)
    if (user && !user.provisionedAt) await provisionUser(user)
    const id = start.id ?? newId(clock.now())
    if (!user || !deviceId) {
      const ended = await db.transaction(async (trx) => {
        await start.consume(trx, id)
        // Without a device there is no other lock that keeps two at once from being one too many.
        if (user) present(await lockUserRow(trx, user.id, 'change'))
        return insert(trx, start, id)
      })
      await sessions.settle(ended)
      return id
    }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // Outside any transaction: a slow homeserver must not hold database connections.
      const epoch = await announceDevice(db, { userId: user.id, deviceId, at: clock.now() })
      await upsertDevice(user.localpart, deviceId, start.deviceName)
      const ended = await withDevicesHeld(user, async (trx, held) => {
        // Somebody deleted devices of this user meanwhile, perhaps this one: make it again.
        if (held.deviceEpoch !== epoch) return undefined
        await start.consume(trx, id)
        return insert(trx, start, id)
      })
      if (ended) {
        await sessions.settle(ended)
        return id
      }
    }
    throw new UnavailableError('The device is being changed elsewhere: try again', { retryAfterSeconds: 1 })
  }
}

export type StartSession = ReturnType<typeof createSessionStarter>
