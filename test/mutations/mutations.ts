import { policyMutations } from './policy-mutations.ts'
import { telemetryMutations } from './telemetry-mutations.ts'

/** One way to break something: in `file`, the one place that reads `find` becomes `replace`. */
export interface Mutation {
  /** The invariant of docs/architecture.md whose test must turn red. */
  invariant?: number
  /** The test that must turn red instead, where what it guards is no invariant. */
  test?: { file: string; title: string }
  /** What the broken service would do. */
  breaks: string
  file: string
  find: string
  replace: string
}

const ACCOUNT = (title: string) => ({ file: 'test/http/compat-account.test.ts', title })
const APPSERVICES = (title: string) => ({ file: 'test/http/compat-appservices.test.ts', title })

export const mutations: Mutation[] = [
  ...policyMutations,
  ...telemetryMutations,
  {
    invariant: 1,
    breaks: 'stores tokens in plain text',
    file: 'src/sessions/start/start.ts',
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
    find: 's.ended_at is not null, date_part',
    replace: 's.ended_at is null and s.ended_at is not null, date_part',
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
    file: 'src/sessions/start/start.ts',
    find: 'if (older) await sessions.endWithin',
    replace: 'if (older && older.deviceId === null) await sessions.endWithin',
  },
  {
    invariant: 4,
    breaks: 'lets a code be consumed twice',
    file: 'src/oauth/provider/store.ts',
    find: ".whereNull('consumed_at')\n    .where('expires_at', '>', now)",
    replace: ".where('expires_at', '>', now)",
  },
  {
    invariant: 4,
    breaks: 'lets a refresh token be consumed twice',
    file: 'src/tokens/rotation/store.ts',
    find: "where t.kind = 'refresh' and t.consumed_at is null",
    replace: "where t.kind = 'refresh'",
  },
  {
    invariant: 5,
    breaks: 'remembers what it looked up',
    file: 'src/oauth/introspection/introspector.ts',
    find: '  return async function lookUp(token: string',
    replace: `  const asked = new Map<string, ReturnType<typeof batch.lookUp>>()
  const batchLookUp = batch.lookUp
  batch.lookUp = (hash) => {
    const key = hash
    const known = asked.get(key) ?? batchLookUp(hash)
    asked.set(key, known)
    return known
  }
  return async function lookUp(token: string`,
  },
  {
    invariant: 6,
    breaks: 'makes the device after the session',
    file: 'src/sessions/start/start.ts',
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
  {
    invariant: 1,
    breaks: 'stores the ID of an interactive authentication as it is',
    file: 'src/compat/account/ask.ts',
    find: 'hash: hashSecret(session),',
    replace: 'hash: Buffer.from(session),',
  },
  {
    invariant: 4,
    breaks: 'lets an interactive authentication be used as often as one likes',
    file: 'src/compat/account/store.ts',
    find: "    .whereNull('consumed_at')\n",
    replace: '',
  },
  {
    breaks: 'takes the password that was asked for one thing for another',
    file: 'src/compat/account/interactive-auth.ts',
    find: 'JSON.stringify([operation.name, operation.parameters])',
    replace: "'anything'",
    test: ACCOUNT('is good for what was asked for and nothing else'),
  },
  {
    breaks: 'takes the ID of an interactive authentication from any session',
    file: 'src/compat/account/store.ts',
    find: '.where({ hash, session_id: toUuid(sessionId), request_hash: requestHash })',
    replace: '.where({ hash, request_hash: requestHash }).whereNotNull(toUuid && sessionId && "session_id")',
    test: ACCOUNT('is good for the session that asked'),
  },
  {
    breaks: "lets people try out others' passwords with a token of their own",
    file: 'src/compat/account/interactive-auth.ts',
    find: 'if (user?.id === userId) return',
    replace: 'if (user?.id !== userId) return',
    test: ACCOUNT('has to be that of whoever is signed in'),
  },
  {
    breaks: 'changes the account for a token that is not for the client-server API',
    file: 'src/compat/account/caller.ts',
    find: "if (found.kind === 'oauth' && !",
    replace: "if (found.kind === 'personal' && !",
    test: ACCOUNT('is open to an app that signed in by OAuth'),
  },
  {
    breaks: 'lets an appservice sign in users outside its namespace',
    file: 'src/compat/appservice-login.ts',
    find: 'if (localpart === undefined || !appservices.owns(appservice, localpart)) {',
    replace: 'if (localpart === undefined) {',
    test: APPSERVICES('with M_EXCLUSIVE outside its namespace'),
  },
  {
    breaks: 'matches patterns of appservices anywhere in a user ID',
    file: 'src/appservices/appservices.ts',
    find: '.lookingAt()',
    replace: '.find()',
    test: { file: 'test/http/appservice-registrations.test.ts', title: 'its users are its bot' },
  },
  {
    breaks: 'gives an appservice the user whose name differs in case',
    file: 'src/appservices/find-user.ts',
    find: 'return user?.localpart === localpart ? user : undefined',
    replace: 'return user',
    test: APPSERVICES('for a user that differs in case'),
  },
  {
    breaks: 'signs in an appservice that makes its devices itself',
    file: 'src/compat/appservice-login.ts',
    find: 'if (appservice.managesDevices) {',
    replace: 'if (!appservice) {',
    test: APPSERVICES('with M_APPSERVICE_LOGIN_UNSUPPORTED where it makes its devices itself'),
  },
  {
    breaks: 'issues a token to a user who is locked',
    file: 'src/cli/session-issue.ts',
    find: 'if (user.lockedAt) {',
    replace: 'if (!user) {',
    test: { file: 'test/http/compat-session-issue.test.ts', title: 'refuses users who are unknown, locked' },
  },
]
