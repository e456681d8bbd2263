import { z } from 'zod'
import { seconds } from '../kinds.ts'

const YEARS_10 = 315_360_000

/** How long sessions live. */
export const sessionsSection = z
  .strictObject({
    idle_limit: seconds(300, YEARS_10)
      .nullable()
      .default(null)
      .describe('Ends a session that was not used for so long.'),
    absolute_limit: seconds(300, YEARS_10)
      .nullable()
      .default(null)
      .describe('Ends a session so long after its sign-in, used or not.'),
  })
  .prefault({})
  .describe('Sessions of apps. Ending one signs the app out, and can cost people their message keys.')

export type SessionsConfig = z.output<typeof sessionsSection>
