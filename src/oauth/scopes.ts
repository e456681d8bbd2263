import { PosternError } from '../errors.ts'
import { isDeviceId } from './device-id.ts'

/** The scope was refused. Its message is meant for the `error_description` (RFC 6749 §4.1.2.1). */
export class InvalidScopeError extends PosternError {
  constructor(message: string) {
    super('invalid_scope', message)
  }
}

/** What a scope string asks for. */
export interface Scope {
  /** the scope as the client spelled it, without duplicates and ignored names: echoed in answers */
  readonly requested: string
  /** with the stable and the unstable name of each Matrix scope: stored, and shown to the homeserver */
  readonly expanded: string
  readonly openid: boolean
  readonly email: boolean
  /** the Matrix client-server API */
  readonly api: boolean
  readonly deviceId: string | undefined
  readonly synapseAdmin: boolean
  readonly masAdmin: boolean
}

export const API_SCOPE = 'urn:matrix:client:api:*'
export const UNSTABLE_API_SCOPE = 'urn:matrix:org.matrix.msc2967.client:api:*'
export const DEVICE_SCOPE_PREFIX = 'urn:matrix:client:device:'
export const UNSTABLE_DEVICE_SCOPE_PREFIX = 'urn:matrix:org.matrix.msc2967.client:device:'
export const SYNAPSE_ADMIN_SCOPE = 'urn:synapse:admin:*'
export const MAS_ADMIN_SCOPE = 'urn:mas:admin'

/**
 * Names from OpenID Connect Core §5.4 and §11 that general clients send by default ("openid profile email
 * offline_access") and that give nothing here: the user name comes with `openid`, and every session gets a
 * refresh token. Refusing them would keep such clients out for nothing, so they are left out of the grant,
 * and the answer's `scope` says so. Any other unknown name is refused.
 */
const IGNORED = new Set(['profile', 'address', 'phone', 'offline_access'])

/** Whether a name is let pass and left out of what is granted. */
export function isIgnoredScope(name: string): boolean {
  return IGNORED.has(name)
}

const MAXIMUM_LENGTH = 2048

/**
 * Reads a space-separated scope (RFC 6749 §3.3) by Matrix's rules (MSC2967). The stable and the unstable name
 * of the same thing may stand side by side, as some clients send both.
 * @throws InvalidScopeError where it names two devices, a device without the API, a bad device ID or anything unknown
 */
export function parseScope(scope: string): Scope {
  if (scope.length > MAXIMUM_LENGTH) throw new InvalidScopeError('the scope is too long')
  const names = [...new Set(scope.split(' '))].filter((name) => name !== '' && !IGNORED.has(name))
  const deviceIds = new Set<string>()
  for (const name of names) {
    const deviceId = deviceIdOf(name)
    if (deviceId !== undefined) deviceIds.add(checkedDeviceId(deviceId))
    else if (!KNOWN.has(name)) throw new InvalidScopeError(`the scope ${quoted(name)} is not known here`)
  }
  if (deviceIds.size > 1)
    throw new InvalidScopeError('the scope names two different devices; only one is allowed')
  const has = (...wanted: string[]) => wanted.some((name) => names.includes(name))
  const api = has(API_SCOPE, UNSTABLE_API_SCOPE)
  if (deviceIds.size > 0 && !api) {
    throw new InvalidScopeError(`the scope names a device, so it must have ${API_SCOPE} too`)
  }
  const requested = names.join(' ')
  return {
    requested,
    expanded: expandScope(requested),
    openid: has('openid'),
    email: has('email'),
    api,
    deviceId: [...deviceIds][0],
    synapseAdmin: has(SYNAPSE_ADMIN_SCOPE),
    masAdmin: has(MAS_ADMIN_SCOPE),
  }
}

/** Whether a name is the older spelling of one that has a stable twin. */
export function isUnstableScope(name: string): boolean {
  return name === UNSTABLE_API_SCOPE || name.startsWith(UNSTABLE_DEVICE_SCOPE_PREFIX)
}

/** Adds the stable twin of each unstable Matrix scope and the other way round. Never throws. */
export function expandScope(scope: string): string {
  // Plain loops: every introspection comes by here.
  const expanded: string[] = []
  const add = (name: string) => {
    if (name !== '' && !expanded.includes(name)) expanded.push(name)
  }
  for (const name of scope.split(' ')) {
    add(name)
    add(twinOf(name))
  }
  return expanded.join(' ')
}

const KNOWN = new Set([
  'openid',
  'email',
  API_SCOPE,
  UNSTABLE_API_SCOPE,
  SYNAPSE_ADMIN_SCOPE,
  MAS_ADMIN_SCOPE,
])

function deviceIdOf(name: string): string | undefined {
  const prefix = [DEVICE_SCOPE_PREFIX, UNSTABLE_DEVICE_SCOPE_PREFIX].find((start) => name.startsWith(start))
  return prefix === undefined ? undefined : name.slice(prefix.length)
}

function checkedDeviceId(deviceId: string): string {
  if (isDeviceId(deviceId)) return deviceId
  throw new InvalidScopeError(
    'the device ID in the scope must have 1 to 255 printable ASCII characters, without quotes and backslashes',
  )
}

/** The other spelling of a Matrix scope; empty where there is none. */
function twinOf(name: string): string {
  if (name === API_SCOPE) return UNSTABLE_API_SCOPE
  if (name === UNSTABLE_API_SCOPE) return API_SCOPE
  if (name.startsWith(DEVICE_SCOPE_PREFIX)) {
    return UNSTABLE_DEVICE_SCOPE_PREFIX + name.slice(DEVICE_SCOPE_PREFIX.length)
  }
  if (name.startsWith(UNSTABLE_DEVICE_SCOPE_PREFIX)) {
    return DEVICE_SCOPE_PREFIX + name.slice(UNSTABLE_DEVICE_SCOPE_PREFIX.length)
  }
  return ''
}

/** Only what RFC 6749 §5.2 lets into an `error_description`, and not much of it. */
function quoted(name: string): string {
  const shown = name.slice(0, 100).replace(/[^\x21\x23-\x5b\x5d-\x7e]/g, '?')
  return name.length > 100 ? `'${shown}...'` : `'${shown}'`
}
