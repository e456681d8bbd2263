/** What a fixture's database holds, so that a test can use it. The tokens are good for that database alone. */
export interface Fixture {
  clientId: string
  /** Of `alice`, of `locked`, who is, and of `gone`, who was deactivated. */
  password: string
  oauthRefreshToken: string
  compatRefreshToken: string
  accessTokenForEver: string
  accessTokenOfLocked: string
}
