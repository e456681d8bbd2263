import type { Introspector } from '../../../oauth/introspection/introspector.ts'
import type { Introspection } from '../../../oauth/introspection/response.ts'
import { SYNAPSE_ADMIN_SCOPE } from '../../../oauth/scopes.ts'
import { mayBeToken } from '../../../tokens/format.ts'
import type { UserBefore } from './before/people/store.ts'
import type { TokenBefore } from './before/tokens/store.ts'
import type { Difference, Sample } from './difference.ts'

export interface TokenRules {
  serverName: string
  now: Date
  /** Whether users whom an administrator has not approved yet may not sign in. */
  lockUnapproved: boolean
}

/** Asks the introspection about each token, as the homeserver will, and compares with what Synapse has of it. */
export async function compareTokens(
  tokens: readonly TokenBefore[],
  introspect: Introspector,
  rules: TokenRules,
): Promise<Sample> {
  const differences: Difference[] = []
  for (const token of tokens) {
    const found = await introspect(token.token, { readsDeviceId: true })
    const what = differenceOf(token, found, rules)
    if (what) differences.push({ table: `${token.kind}_tokens`, key: `${token.id} of ${token.userId}`, what })
  }
  return { checked: tokens.length, differences }
}

function differenceOf(token: TokenBefore, found: Introspection, rules: TokenRules): string | undefined {
  const expected = stateOf(token, rules)
  const state = 'held' in found ? 'held' : found.answer.active ? 'alive' : 'dead'
  if (state !== expected) return `should be ${WORDS[expected]}, is ${WORDS[state]}`
  if ('held' in found || !found.answer.active) return undefined
  const { username, device_id, exp, scope } = found.answer
  if (username !== localpartOf(token.userId, rules.serverName)) return 'belongs to another user'
  if (device_id !== token.deviceId) return 'is bound to another device'
  const end = token.expiresAt === undefined ? undefined : Math.floor(token.expiresAt / 1000)
  if (exp !== end && !(end !== undefined && end > LAST_SECOND)) return 'runs out at another time'
  if (scope.split(' ').includes(SYNAPSE_ADMIN_SCOPE) !== token.user?.admin)
    return token.user?.admin ? "lost an administrator's rights" : "has an administrator's rights"
  return undefined
}

const WORDS = { alive: 'active', held: 'held (the user is locked)', dead: 'inactive' } as const

/** The year 9999, after which nothing runs out. */
const LAST_SECOND = 253_402_300_799

/** What the token is to be, written down on its own: by Synapse's rows, not by what the import made of them. */
function stateOf(token: TokenBefore, { serverName, now, lockUnapproved }: TokenRules): keyof typeof WORDS {
  const { user, expiresAt, sessionEndsAt } = token
  if (!user || user.deactivated || user.guest || token.puppet) return 'dead'
  if (localpartOf(token.userId, serverName) === undefined || !mayBeToken(token.token)) return 'dead'
  if (token.deviceId === undefined ? token.kind === 'refresh' : !token.deviceExists) return 'dead'
  if (token.deviceId !== undefined && !isMovable(token.deviceId)) return 'dead'
  if (isLocked(user, lockUnapproved)) return 'held'
  const ends = [expiresAt, token.deviceId === undefined ? undefined : sessionEndsAt]
  if (token.exchanged || ends.some((end) => end !== undefined && end <= now.getTime())) return 'dead'
  return 'alive'
}

/** The part of a user ID before this server's name, where it is one that can be moved. */
export function localpartOf(userId: string, serverName: string): string | undefined {
  const end = `:${serverName}`
  if (!userId.startsWith('@') || !userId.endsWith(end) || Buffer.byteLength(userId) > 255) return undefined
  const localpart = userId.slice(1, -end.length)
  return /^[!-9;-~]+$/.test(localpart) ? localpart : undefined
}

/** Synapse takes device IDs of 1 to 255 characters from an introspection. */
export function isMovable(deviceId: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return /^[^\u0000-\u001f\u007f]+$/.test(deviceId) && [...deviceId].length <= 255
}

export function isLocked(user: UserBefore, lockUnapproved: boolean): boolean {
  return user.locked || (lockUnapproved && !user.approved)
}
