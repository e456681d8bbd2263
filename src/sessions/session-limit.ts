import type { Knex } from 'knex'
import type { Clock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { PolicyGate } from '../policy/gate.ts'
import type { User } from '../users/store.ts'
import type { Ended, Sessions } from './sessions.ts'
import { listCountedSessions, type Session } from './store.ts'

/** The user has as many sessions as the operator lets them have. The words are those that the ecosystem's apps show. */
export class SessionLimitError extends PosternError {
  constructor() {
    const message =
      'You have reached your hard device limit. Please visit your account page to sign some out.'
    super('session_limit', message, { status: 403 })
  }
}

/** A session that is about to be made. */
export interface Newcomer {
  user: User
  kind: 'oauth' | 'compat'
  /** One that is on this device already makes room for it. */
  deviceId: string | null
}

/** Somebody is to choose what ends before the next session. */
export interface Choice {
  sessions: Session[]
  /** How many of them have to end at least. */
  toEnd: number
}

/** The operator's limit of sessions per user (`on: session_limit`). Those of appservices neither count nor are held. */
export function createSessionLimit(deps: {
  db: Knex
  clock: Clock
  gate: Pick<PolicyGate, 'sessionLimit'>
  sessions: Pick<Sessions, 'endWithin'>
}) {
  const { db, clock, gate, sessions } = deps

  async function others(knex: Knex, { user, deviceId }: Newcomer): Promise<Session[]> {
    const counted = await listCountedSessions(knex, user.id, clock.now())
    return counted.filter((one) => deviceId === null || one.deviceId !== deviceId)
  }

  /**
   * What a person has to choose from on a page, or undefined where there is room. A page comes at the soft limit, and
   * at a hard one that would refuse: choosing is better than being refused.
   * @throws PolicyDeniedError where a rule cannot be evaluated
   */
  async function choice(newcomer: Newcomer): Promise<Choice | undefined> {
    const limit = gate.sessionLimit(newcomer.user, newcomer.kind)
    if (!limit) return undefined
    const refusing = limit.atHard === 'refuse' ? limit.hard : undefined
    const most = Math.min(limit.soft ?? Infinity, refusing ?? Infinity)
    if (most === Infinity) return undefined
    const present = await others(db, newcomer)
    return present.length < most ? undefined : { sessions: present, toEnd: present.length - most + 1 }
  }

  /** Before a device is made for it at the homeserver. @throws SessionLimitError, PolicyDeniedError */
  async function assertRoom(newcomer: Newcomer): Promise<void> {
    const limit = gate.sessionLimit(newcomer.user, newcomer.kind)
    if (limit?.hard === undefined || limit.atHard !== 'refuse') return
    if ((await others(db, newcomer)).length >= limit.hard) throw new SessionLimitError()
  }

  /**
   * The hard limit, in the transaction that makes the session and under the user's lock, so that of several at once
   * none is too many. Ends what has not been used for longest where the operator wants that.
   * @returns what the caller settles after the commit
   * @throws SessionLimitError, PolicyDeniedError
   */
  async function makeRoom(trx: Knex, newcomer: Newcomer): Promise<Ended[]> {
    const limit = gate.sessionLimit(newcomer.user, newcomer.kind)
    if (limit?.hard === undefined) return []
    const present = await others(trx, newcomer)
    const tooMany = present.length - limit.hard + 1
    if (tooMany <= 0) return []
    if (limit.atHard === 'refuse') throw new SessionLimitError()
    const ended: Ended[] = []
    for (const { id } of present.slice(0, tooMany)) {
      const one = await sessions.endWithin(trx, id, 'session_limit', { actor: 'system' })
      if (one) ended.push(one)
    }
    return ended
  }

  return { choice, assertRoom, makeRoom }
}

export type SessionLimits = ReturnType<typeof createSessionLimit>
