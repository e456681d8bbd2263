import { z } from 'zod'
import { text } from '../kinds.ts'

/** What people see. */
export const brandingSection = z
  .strictObject({
    service_name: text.max(100, 'is longer than 100 characters').optional().meta({
      description: 'The name that the pages show.',
      defaultText: 'the server name',
    }),
  })
  .prefault({})
  .describe('What people see.')

export type BrandingConfig = z.output<typeof brandingSection>
