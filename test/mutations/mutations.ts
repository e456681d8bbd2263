/** One way to break an invariant: in `file`, the one place that reads `find` becomes `replace`. */
export interface Mutation {
  /** The invariant of docs/architecture.md whose test must turn red. */
  invariant: number
  /** What the broken service would do. */
  breaks: string
  file: string
  find: string
  replace: string
}

export const mutations: Mutation[] = [
  {
    invariant: 1,
    breaks: 'stores tokens in plain text',
    file: 'src/sessions/start.ts',
    find: 'accessHash: hashSecret(start.accessToken)',
    replace: 'accessHash: Buffer.from(start.accessToken)',
  },
  {
    invariant: 1,
    breaks: 'keeps the ID of an interaction in its row',
    file: 'src/oauth/provider/adapter.ts',
    find: '{ ...rest, returnTo: String(returnTo).replaceAll(id, OWN_ID) }',
    replace: '{ ...rest, returnTo }',
  },
  {
    invariant: 2,
    breaks: 'takes a token of an ended session for a live one',
    file: 'src/oauth/introspection/store.ts',
    find: 's.ended_at is not null as ended',
    replace: 's.ended_at is null and s.ended_at is not null as ended',
  },
  {
    invariant: 2,
    breaks: 'ends a session without queueing the deletion of its device',
    file: 'src/sessions/sessions.ts',
    find: "if (reason === 'replaced' || !userId || !deviceId) return",
    replace: "if (reason !== 'replaced' || !userId || !deviceId) return",
  },
  {
    invariant: 3,
    breaks: 'lets two sessions live on one device',
    file: 'src/sessions/start.ts',
    find: 'if (older) await sessions.endWithin',
    replace: 'if (older && older.deviceId === null) await sessions.endWithin',
  },
  {
    invariant: 4,
    breaks: 'lets a code be consumed twice',
    file: 'src/oauth/provider/store.ts',
    find: "    .whereNull('consumed_at')\n",
    replace: '',
  },
  {
    invariant: 4,
    breaks: 'lets a refresh token be consumed twice',
    file: 'src/tokens/store.ts',
    find: "where t.hash = $1 and t.kind = 'refresh' and t.consumed_at is null",
    replace: "where t.hash = $1 and t.kind = 'refresh'",
  },
  {
    invariant: 5,
    breaks: 'remembers what it looked up',
    file: 'src/oauth/introspection/introspector.ts',
    find: '  return async function lookUp(token: string',
    replace: `  const asked = new Map<string, ReturnType<typeof batch.lookUp>>()
  const batchLookUp = batch.lookUp
  batch.lookUp = (hash) => {
    const key = hash.toString('hex')
    const known = asked.get(key) ?? batchLookUp(hash)
    asked.set(key, known)
    return known
  }
  return async function lookUp(token: string`,
  },
  {
    invariant: 6,
    breaks: 'makes the device after the session',
    file: 'src/sessions/start.ts',
    find: 'await upsertDevice(user.localpart, deviceId, start.deviceName)',
    replace: 'void upsertDevice(user.localpart, deviceId, start.deviceName).catch(() => {})',
  },
  {
    invariant: 7,
    breaks: 'answers trouble of its own with a 4xx',
    file: 'src/oauth/grants/errors.ts',
    find: 'ctx.status = 503',
    replace: 'ctx.status = 400',
  },
  {
    invariant: 7,
    breaks: 'refuses a refresh whose answer was lost',
    file: 'src/tokens/refresh.ts',
    find: '(withinGrace || !successor.used)',
    replace: '(withinGrace && successor.used)',
  },
  {
    invariant: 8,
    breaks: 'tells the homeserver that a locked user has no token',
    file: 'src/oauth/introspection/response.ts',
    find: 'if (token.userLocked) return { held: true }',
    replace: 'if (token.userLocked) return { answer: INACTIVE }',
  },
  {
    invariant: 8,
    breaks: 'refuses the refresh of a locked user for good',
    file: 'src/tokens/refresh.ts',
    find: 'if (state.userLocked) throw new UserLockedError()',
    replace: "if (state.userLocked) throw new InvalidRefreshTokenError('expired')",
  },
  {
    invariant: 9,
    breaks: 'tells a stranger that an account is locked',
    file: 'src/signin/password-check.ts',
    find: 'if (!check.ok || found?.hash === undefined) return',
    replace: 'if ((!check.ok && !found?.user.lockedAt) || found?.hash === undefined) return',
  },
  {
    invariant: 10,
    breaks: 'believes the Host of a request',
    file: 'src/server/front-door.ts',
    find: '    req.headers.host = address.host\n',
    replace: '',
  },
  {
    invariant: 1,
    breaks: 'stores login tokens in plain text',
    file: 'src/compat/sso-routes.ts',
    find: 'hash: hashSecret(token)',
    replace: 'hash: Buffer.from(token)',
  },
  {
    invariant: 4,
    breaks: 'lets a login token be used as often as one likes',
    file: 'src/compat/store.ts',
    find: ".whereNull('consumed_at')\n    .where('expires_at', '>', now)",
    replace: ".where('expires_at', '>', now)",
  },
  {
    invariant: 8,
    breaks: 'signs the app of a locked user out at the legacy refresh',
    file: 'src/compat/refresh-route.ts',
    find: 'if (error instanceof UserLockedError) throw userLocked()',
    replace: 'if (error instanceof UserLockedError) throw new MatrixError(401, "M_UNKNOWN_TOKEN", "x")',
  },
  {
    invariant: 9,
    breaks: 'tells a stranger at the legacy login that a user is locked',
    file: 'src/compat/password-login.ts',
    find: "throw result.reason === 'locked' ? userLocked() : wrongCredentials()",
    replace: "throw result.reason === 'locked' ? wrongCredentials() : userLocked()",
  },
]
