import type { Current } from '../signin/browser.ts'
import type { AccountFrame } from '../views/index.ts'

/** What every account page shows of whoever is signed in. */
export function createAccountFrames({ serverName, passwords }: { serverName: string; passwords: boolean }) {
  return ({ user }: Current): AccountFrame => ({
    user: { mxid: `@${user.localpart}:${serverName}`, createdAt: user.createdAt },
    passwords,
  })
}

export type AccountFrames = ReturnType<typeof createAccountFrames>
