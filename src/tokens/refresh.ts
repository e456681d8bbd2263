import type { Knex } from 'knex'
import type { Clock } from '../clock.ts'
import { PosternError, UnavailableError } from '../errors.ts'
import { hashSecret, mayBeToken, newToken } from './format.ts'
import { type RefreshCaller, type Rotation, type RotationTimes, rotate } from './rotation/store.ts'
import { openPair, sealPair, type TokenPair } from './seal.ts'
import {
  findRefreshTokenForUpdate,
  findSuccessor,
  type RefreshTokenState,
  reseal,
  waitForSession,
} from './store.ts'

export type InvalidRefreshReason =
  | 'malformed'
  | 'unknown'
  | 'another_kind'
  | 'another_client'
  | 'client_gone'
  | 'session_ended'
  | 'user_deactivated'
  | 'expired'
  | 'replayed'

/** A refresh token that will never work (again). OAuth says `invalid_grant`, Matrix `M_UNKNOWN_TOKEN`. */
export class InvalidRefreshTokenError extends PosternError {
  readonly reason: InvalidRefreshReason

  constructor(reason: InvalidRefreshReason) {
    super('invalid_grant', 'This refresh token is not valid: sign in again', { detail: reason })
    this.reason = reason
  }
}

/** The user is locked: nothing was consumed, and the same request works after the unlock (invariant 8). */
export class UserLockedError extends UnavailableError {
  constructor() {
    super('This account is locked for now', { retryAfterSeconds: 60 })
  }
}

/** A refresh token of a confidential client that has not proved its identity. */
export class ClientNotAuthenticatedError extends PosternError {
  constructor() {
    super('invalid_client', 'This client must authenticate itself', { status: 401 })
  }
}

export interface Refreshed extends TokenPair {
  scope: string
  /** Whole seconds until the access token expires. */
  expiresIn: number
}

export interface RefreshDeps {
  db: Knex
  /** Exchanges a current token for its successors. */
  rotateCurrent: (rotation: Rotation) => Promise<string | undefined>
  clock: Clock
  accessTokenTtlSeconds: number
  graceSeconds: number
  /** Ends a session because its refresh token was replayed, in the given transaction, and says what to do after. */
  endReplayedSession: (trx: Knex, sessionId: string) => Promise<() => Promise<void>>
}

const PREFIXES = { oauth: ['mat', 'mar'], compat: ['mct', 'mcr'] } as const

function newPair(kind: RefreshCaller['kind']): TokenPair {
  const [access, refresh] = PREFIXES[kind]
  return { accessToken: newToken(access), refreshToken: newToken(refresh) }
}

/** The times of a refresh that is written now. */
export function rotationTimes(clock: Clock, accessTokenTtlSeconds: number): RotationTimes {
  const now = clock.now()
  return { now, accessExpiresAt: new Date(now.getTime() + accessTokenTtlSeconds * 1000) }
}

type Outcome = { answer: Refreshed } | { lookAgain: true } | { replayed: () => Promise<void> }

/**
 * Refresh with rotation that is idempotent, for OAuth and the legacy API alike (RFC 9700 §4.14.2, Matrix
 * specification "Refreshing access tokens": a client whose answer got lost must be able to ask again).
 */
export function createRefresh(deps: RefreshDeps) {
  const { db, clock, accessTokenTtlSeconds, graceSeconds } = deps

  /** Makes a new pair and lets `exchange` put it in the place of the presented token; undefined where that is not current. */
  async function withNewPair(
    presented: string,
    caller: RefreshCaller,
    exchange: RefreshDeps['rotateCurrent'],
  ): Promise<Refreshed | undefined> {
    const pair = newPair(caller.kind)
    const scope = await exchange({
      presentedHash: hashSecret(presented),
      sealedSuccessor: sealPair(presented, pair),
      accessHash: hashSecret(pair.accessToken),
      refreshHash: hashSecret(pair.refreshToken),
      caller,
    })
    return scope === undefined ? undefined : { ...pair, scope, expiresIn: accessTokenTtlSeconds }
  }

  function check(state: RefreshTokenState | undefined, caller: RefreshCaller, now: Date): RefreshTokenState {
    if (!state) throw new InvalidRefreshTokenError('unknown')
    if (state.sessionKind !== caller.kind) throw new InvalidRefreshTokenError('another_kind')
    if (caller.kind === 'oauth') {
      if (state.clientId !== caller.clientId) throw new InvalidRefreshTokenError('another_client')
      if (!state.clientKnown) throw new InvalidRefreshTokenError('client_gone')
      if (!state.clientPublic && !caller.authenticated) throw new ClientNotAuthenticatedError()
    }
    if (state.sessionEnded) throw new InvalidRefreshTokenError('session_ended')
    if (state.userDeactivated) throw new InvalidRefreshTokenError('user_deactivated')
    if (state.sessionExpired || (state.expiresAt && state.expiresAt <= now))
      throw new InvalidRefreshTokenError('expired')
    // Invariant 8: a 4xx would make the client throw its keys away, so a locked user is asked to come back.
    if (state.userLocked) throw new UserLockedError()
    return state
  }

  /**
   * The successor pair again; where its access token has expired, its own successor in its place. Undefined where
   * something changed beside this look: the successor was used, or the user locked.
   */
  async function answerAgain(
    trx: Knex,
    presented: string,
    state: RefreshTokenState & { successorHash: Buffer; successorSealed: Buffer },
    accessExpiresAt: Date | null,
    caller: RefreshCaller,
  ): Promise<Refreshed | undefined> {
    const pair = openPair(presented, state.successorSealed)
    const remaining = accessExpiresAt
      ? Math.floor((accessExpiresAt.getTime() - clock.now().getTime()) / 1000)
      : 0
    if (remaining > 0) return { ...pair, scope: state.scope, expiresIn: remaining }
    // The unused successor is exchanged on the client's behalf, so that there is still only one live branch and
    // both the presented token and the successor (should it turn up after all) lead to it.
    const fresh = await withNewPair(pair.refreshToken, caller, (rotation) =>
      rotate(trx, rotation, rotationTimes(clock, accessTokenTtlSeconds)),
    )
    if (!fresh) return undefined
    await reseal(trx, hashSecret(presented), hashSecret(fresh.refreshToken), sealPair(presented, fresh))
    return fresh
  }

  async function decide(trx: Knex, presented: string, caller: RefreshCaller): Promise<Outcome> {
    const now = clock.now()
    const found = await findRefreshTokenForUpdate(trx, hashSecret(presented), now)
    const { consumedAt, successorHash, successorSealed, ...rest } = check(found, caller, now)
    if (!consumedAt) {
      // It became current between the two looks (the user was unlocked, for example), or somebody holds its session.
      await waitForSession(trx, rest.sessionId)
      return { lookAgain: true }
    }
    const successor = successorHash ? await findSuccessor(trx, successorHash) : undefined
    const withinGrace = now.getTime() - consumedAt.getTime() <= graceSeconds * 1000
    if (successorHash && successorSealed && successor && (withinGrace || !successor.used)) {
      const state = { ...rest, consumedAt, successorHash, successorSealed }
      // Within the grace time a pair that was used meanwhile is given again as it is: two processes of one app.
      if (successor.used) {
        const left = ((successor.accessExpiresAt ?? now).getTime() - now.getTime()) / 1000
        const pair = openPair(presented, successorSealed)
        return { answer: { ...pair, scope: state.scope, expiresIn: Math.max(1, Math.floor(left)) } }
      }
      const answer = await answerAgain(trx, presented, state, successor.accessExpiresAt, caller)
      return answer ? { answer } : { lookAgain: true }
    }
    return { replayed: await deps.endReplayedSession(trx, rest.sessionId) }
  }

  /**
   * Exchanges a refresh token for a new pair, by the table in docs/tokens.md.
   * @throws InvalidRefreshTokenError when it will never work again; a replay also ends the session
   * @throws UnavailableError when it works again later: the user is locked
   */
  return async function refresh(presented: string, caller: RefreshCaller): Promise<Refreshed> {
    if (!mayBeToken(presented)) throw new InvalidRefreshTokenError('malformed')
    for (let attempt = 0; attempt < 3; attempt++) {
      const current = await withNewPair(presented, caller, deps.rotateCurrent)
      if (current) return current
      const outcome = await db.transaction((trx) => decide(trx, presented, caller))
      if ('answer' in outcome) return outcome.answer
      if ('replayed' in outcome) {
        await outcome.replayed()
        throw new InvalidRefreshTokenError('replayed')
      }
    }
    throw new UnavailableError('This refresh could not be completed: try again', { retryAfterSeconds: 1 })
  }
}

export type Refresh = ReturnType<typeof createRefresh>
