import type { Session } from '../sessions/store.ts'
import type { Links } from '../views/index.ts'

/** MSC4191 names, their unstable forms, and the short ones that clients sent before. */
const VIEW = /^(?:org\.matrix\.)?(?:device|session)_view$/
const END = /^(?:org\.matrix\.)?(?:device_delete|session_end)$/
const RESET = /^org\.matrix\.cross_signing_reset$/

/**
 * Where an `action` of the account management address leads (Matrix specification, "Account management URL
 * redirect"): undefined for the account page itself, for actions that are not known, and for devices that are not
 * the person's.
 */
export function actionTarget(
  action: string,
  deviceId: string | undefined,
  sessions: readonly Session[],
  links: Links,
): string | undefined {
  if (RESET.test(action)) return links.crossSigningReset
  const session = sessions.find((one) => deviceId !== undefined && one.deviceId === deviceId)
  if (!session) return undefined
  if (END.test(action)) return links.sessionEnd(session.id)
  return VIEW.test(action) ? links.session(session.id) : undefined
}
