import { z } from 'zod'
import { seconds } from '../kinds.ts'

/** How long tokens live. */
export const tokensSection = z
  .strictObject({
    access_token_ttl: seconds(60, 86_400).default(300).describe('How long an access token lives.'),
    refresh_grace: seconds(0, 600)
      .default(30)
      .describe('How long a used refresh token still gets the same answer, for apps that lost it.'),
  })
  .prefault({})
  .describe('Tokens.')

export type TokensConfig = z.output<typeof tokensSection>
