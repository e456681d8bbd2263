import type { DeviceAfter, UserAfter } from './after/store.ts'
import type { DeviceBefore, EmailBefore, UserBefore } from './before/people/store.ts'
import type { Difference, Sample } from './difference.ts'
import { isLocked, isMovable, localpartOf, type TokenRules } from './tokens.ts'

const IS_BCRYPT = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/

/** Compares who may do what, and the password hashes byte for byte. */
export function compareUsers(
  users: readonly UserBefore[],
  after: ReadonlyMap<string, UserAfter>,
  rules: TokenRules,
): Sample {
  const differences: Difference[] = []
  for (const user of users) {
    const localpart = localpartOf(user.userId, rules.serverName)
    if (localpart === undefined) continue
    const found = after.get(localpart)
    const what = found ? userDifference(user, found, rules) : 'is not here'
    if (what) differences.push({ table: 'users', key: user.userId, what })
  }
  return { checked: users.length, differences }
}

function userDifference(user: UserBefore, found: UserAfter, rules: TokenRules): string | undefined {
  if (user.deactivated !== found.deactivated)
    return found.deactivated ? 'is deactivated here' : 'is not deactivated here'
  if (isLocked(user, rules.lockUnapproved) && !found.locked) return 'is not locked here'
  if (!isLocked(user, rules.lockUnapproved) && found.locked) return 'is locked here'
  // Whoever is deactivated has lost the rights of an administrator with the rest.
  if (found.admin && !user.admin) return 'is an administrator here'
  if (user.admin && !user.deactivated && !found.admin) return 'is no administrator here'
  const hash = user.passwordHash
  const expected = hash !== undefined && IS_BCRYPT.test(hash) && !user.deactivated ? hash : null
  // A hash of another kind is that of a password which was set or used here since.
  if (expected !== found.passwordHash && (found.passwordHash?.startsWith('$2') ?? expected !== null))
    return found.passwordHash === null ? 'has no password here' : 'has another password here'
  return undefined
}

/**
 * Compares the devices of each of these users.
 * @param importedAt what was here before is of the import: a device that Synapse has not any more was signed out since
 */
export function compareDevices(
  users: readonly UserBefore[],
  before: readonly DeviceBefore[],
  after: readonly DeviceAfter[],
  { serverName, importedAt }: { serverName: string; importedAt: Date },
): Sample {
  const differences: Difference[] = []
  let checked = 0
  for (const { userId, deactivated, guest } of users) {
    const localpart = localpartOf(userId, serverName)
    if (localpart === undefined) continue
    const expected =
      deactivated || guest ? [] : before.filter((each) => each.userId === userId && isMovable(each.deviceId))
    const found = after.filter((each) => each.localpart === localpart)
    checked += expected.length
    const add = (deviceId: string, what: string) =>
      differences.push({ table: 'devices', key: `${userId} ${deviceId}`, what })
    for (const { deviceId, name } of expected) {
      const twin = found.find((each) => each.deviceId === deviceId)
      if (!twin) add(deviceId, 'is not here')
      else if ((twin.name ?? undefined) !== name) add(deviceId, 'has another name here')
    }
    for (const { deviceId, createdAt } of found)
      if (createdAt <= importedAt && !expected.some((each) => each.deviceId === deviceId))
        add(deviceId, 'was signed out in Synapse since it was moved, and is still signed in here')
  }
  return { checked, differences }
}

/**
 * Compares e-mail addresses byte for byte, and whose they are.
 * @param emails with every row that differs from one of them in capital letters only: one of those arrives, the others
 *   are set aside
 */
export function compareEmails(
  emails: readonly EmailBefore[],
  after: ReadonlyMap<string, { email: string; localpart: string }>,
  owners: ReadonlyMap<string, UserAfter>,
  serverName: string,
): Sample {
  const differences: Difference[] = []
  const candidates = emails.flatMap(({ userId, address }) => {
    const localpart = localpartOf(userId, serverName)
    const owner = localpart === undefined ? undefined : owners.get(localpart)
    const isAddress = /^[^\s\p{Cc}]+@[^\s\p{Cc}]+$/u.test(address) && address.length <= 254
    return owner && !owner.deactivated && isAddress ? [{ userId, address, localpart }] : []
  })
  for (const [lower, twins] of Map.groupBy(candidates, ({ address }) => address.toLowerCase())) {
    const found = after.get(lower)
    const isThere = twins.some(
      ({ address, localpart }) => address === found?.email && localpart === found.localpart,
    )
    const what = found ? 'is another one, or of another user, here' : 'is not here'
    if (!isThere)
      differences.push({ table: 'user_threepids', key: `an address of ${twins[0]?.userId}`, what })
  }
  return { checked: candidates.length, differences }
}
