import { z } from 'zod'
import { limit } from '../kinds.ts'

/** Limits against guessing and flooding, counted in the database. */
export const limitsSection = z
  .strictObject({
    sign_in_per_address: limit(30, 300).describe('Failed sign-ins from one network address.'),
    sign_in_per_user: limit(10, 300).describe(
      'Failed sign-ins with one user name, whether it exists or not.',
    ),
    user_code_per_address: limit(10, 300).describe('Wrong device codes typed in from one network address.'),
    registration_per_address: limit(100, 3600).describe('App registrations from one network address.'),
  })
  .prefault({})
  .describe('Limits against guessing and flooding.')

export type LimitsConfig = z.output<typeof limitsSection>
