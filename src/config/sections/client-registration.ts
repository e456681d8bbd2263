import { z } from 'zod'
import { flag } from '../kinds.ts'

/** Apps that register themselves. */
export const clientRegistrationSection = z
  .strictObject({
    enabled: flag
      .default(true)
      .describe('Whether apps may register themselves, as nearly all Matrix apps do.'),
    allow_insecure_uris: flag
      .default(false)
      .describe('Whether they may use plain http and localhost addresses. For development only.'),
  })
  .prefault({})
  .describe('Apps that register themselves.')

export type ClientRegistrationConfig = z.output<typeof clientRegistrationSection>
