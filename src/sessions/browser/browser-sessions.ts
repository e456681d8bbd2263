import { createHmac, randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import { type AuditActor, recordAudit } from '../../audit/store.ts'
import type { Clock } from '../../clock.ts'
import { newId } from '../../ids.ts'
import { hashSecret } from '../../tokens/format.ts'
import type { User } from '../../users/store.ts'
import * as store from './store.ts'

type BrowserSession = store.BrowserSession

/** Who ends a browser session, for the audit table. */
export interface SessionActor {
  actor: AuditActor
  actorUserId?: string | undefined
  ip?: string | undefined
}

/** A session with its cookie in plain text, which exists here and in the browser only. */
export interface StartedBrowserSession {
  /** 256 random bits in base64url: 43 characters. */
  cookie: string
  session: BrowserSession
}

export interface BrowserSessions {
  /**
   * Starts a session with a cookie of its own, whatever the browser sent (check 64), in the caller's transaction.
   * The same form posted twice, even at once, gives the same session with the same cookie: whichever answer the
   * browser keeps, it is signed in, and no second session is left behind.
   * @param formId a secret that stands for the posted form and that nobody but this service can know
   */
  start(
    trx: Knex,
    user: User,
    browser: { ip: string; userAgent?: string | undefined },
    formId?: string,
  ): Promise<StartedBrowserSession>
  /**
   * The live session of a cookie and its user; undefined where it has ended or the user is deactivated. A locked
   * user is found, with `lockedAt`, so that pages can say so.
   */
  find(cookie: string): Promise<{ session: BrowserSession; user: User } | undefined>
  /**
   * After the person gave a credential again: the same session, a new cookie, authenticated now (ASVS 5.0, 7.2.4).
   * Undefined where the cookie is no longer valid; of several at once with one cookie, one gets the session.
   */
  reauthenticate(db: Knex, cookie: string): Promise<StartedBrowserSession | undefined>
  /** Ends one session. Returns whether it was still live. */
  end(id: string, by: SessionActor): Promise<boolean>
  /** Ends a user's sessions, except one, in the caller's transaction. Returns how many. */
  endOthers(trx: Knex, userId: string, exceptId: string | undefined, by: SessionActor): Promise<number>
  /** A live session by its ID. */
  get(id: string): Promise<BrowserSession | undefined>
  /** A user's live sessions, the most recently active first. */
  listFor(userId: string): Promise<BrowserSession[]>
  /** Notes that the session was used, once a minute at most for one address. */
  touch(session: BrowserSession, ip: string): Promise<void>
}

const COOKIE = /^[A-Za-z0-9_-]{43}$/
const TOUCH_MS = 60_000
const MAX_USER_AGENT = 256

export interface BrowserSessionsDeps {
  db: Knex
  clock: Clock
  /** Ends what of the user's sessions at apps stands and falls with this browser's. */
  endWebsites: (trx: Knex, browser: Pick<BrowserSession, 'id' | 'userId'>, by: SessionActor) => Promise<void>
}

/** Browser sessions. Of the cookie only the SHA-256 is stored (invariant 1). */
export function createBrowserSessions({ db, clock, endWebsites }: BrowserSessionsDeps): BrowserSessions {
  const newCookie = () => randomBytes(32).toString('base64url')

  async function recordEnd(trx: Knex, session: BrowserSession, at: Date, by: SessionActor): Promise<void> {
    await recordAudit(trx, at, {
      event: 'browser_session.ended',
      actor: by.actor,
      actorUserId: by.actorUserId,
      userId: session.userId,
      ip: by.ip,
      details: { browser_session_id: session.id },
    })
  }

  return {
    async start(trx, user, { ip, userAgent }, formId) {
      const at = clock.now()
      const cookie = formId ? createHmac('sha256', formId).update(user.id).digest('base64url') : newCookie()
      const session: BrowserSession = {
        id: newId(at),
        userId: user.id,
        createdAt: at,
        authenticatedAt: at,
        lastActiveAt: at,
        lastActiveIp: ip,
        userAgent: userAgent?.slice(0, MAX_USER_AGENT) ?? null,
      }
      const cookieHash = hashSecret(cookie)
      if (await store.insertBrowserSession(trx, { ...session, cookieHash })) return { cookie, session }
      const twin = await store.findByCookieHash(trx, cookieHash)
      if (twin) return { cookie, session: twin.session }
      // The form was posted before and its session has ended: an old form must not bring it back.
      const fresh = newCookie()
      await store.insertBrowserSession(trx, { ...session, cookieHash: hashSecret(fresh) })
      return { cookie: fresh, session }
    },

    async find(cookie) {
      return COOKIE.test(cookie) ? store.findByCookieHash(db, hashSecret(cookie)) : undefined
    },

    async reauthenticate(trx, cookie) {
      if (!COOKIE.test(cookie)) return undefined
      const next = newCookie()
      const session = await store.replaceCookie(trx, {
        oldHash: hashSecret(cookie),
        newHash: hashSecret(next),
        at: clock.now(),
      })
      return session && { cookie: next, session }
    },

    end: (id, by) =>
      db.transaction(async (trx) => {
        const at = clock.now()
        const session = await store.endBrowserSession(trx, id, at)
        if (session) {
          await recordEnd(trx, session, at, by)
          await endWebsites(trx, session, by)
        }
        return session !== undefined
      }),

    async endOthers(trx, userId, exceptId, by) {
      const at = clock.now()
      const ended = await store.endBrowserSessionsOf(trx, userId, at, exceptId)
      for (const session of ended) {
        await recordEnd(trx, session, at, by)
        await endWebsites(trx, session, by)
      }
      return ended.length
    },

    get: (id) => store.findBrowserSession(db, id),

    listFor: (userId) => store.listBrowserSessions(db, userId),

    async touch(session, ip) {
      const at = clock.now()
      const ifBefore = new Date(at.getTime() - TOUCH_MS)
      if (session.lastActiveAt >= ifBefore && session.lastActiveIp === ip) return
      await store.touchBrowserSession(db, session.id, { at, ip, ifBefore })
    },
  }
}
