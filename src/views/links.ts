/** The paths that pages link to among themselves. Routes are mounted at the same ones. */
export interface Links {
  account: string
  password: string
  crossSigningReset: string
  signOut: string
  session(id: string): string
  sessionEnd(id: string): string
  /** Takes a POST only: `csrf` is its one field. */
  browserEnd(id: string): string
}

/** All links of the pages, below the path of the public address (`/` or `/auth/`). */
export function createLinks(basePath: string): Links {
  const account = `${basePath}account`
  return {
    account,
    password: `${account}/password`,
    crossSigningReset: `${account}/cross-signing-reset`,
    signOut: `${basePath}sign-out`,
    session: (id) => `${account}/sessions/${encodeURIComponent(id)}`,
    sessionEnd: (id) => `${account}/sessions/${encodeURIComponent(id)}/end`,
    browserEnd: (id) => `${account}/browsers/${encodeURIComponent(id)}/end`,
  }
}
