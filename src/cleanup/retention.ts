const HOUR = 3600
const DAY = 24 * HOUR

/**
 * How long what has served its purpose is kept, in seconds. docs/operate.md tells operators.
 * A consumed refresh token is kept because presenting it again shows a theft; the successor that is sealed beside
 * it can be opened by whoever holds the consumed token, so it goes as soon as nobody needs it.
 */
export const RETENTION = {
  /** authorization codes, interactions, grants and device codes, after they expired: a replay is still recognised */
  oidcRecords: DAY,
  deviceCodes: DAY,
  tickets: DAY,
  /** login tokens of the legacy API: one that comes again still ends the session that it made */
  loginTokens: DAY,
  /** passwords that the legacy API asked for and that did not come */
  interactiveAuth: 0,
  /** access tokens after they expired or were superseded: revoking one still ends its session */
  accessTokens: DAY,
  /** refresh tokens after they were consumed */
  refreshTokens: 7 * DAY,
  /** sealed successors, after the successor was used */
  sealedSuccessors: HOUR,
  endedSessions: 30 * DAY,
  endedBrowserSessions: 30 * DAY,
  /** dynamic clients without a live session, after their last use */
  unusedClients: 30 * DAY,
} as const
