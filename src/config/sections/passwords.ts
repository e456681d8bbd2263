import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { count, flag, path, secret } from '../kinds.ts'

/** Signing in with a password. */
export const passwordsSection = z
  .strictObject({
    enabled: flag.default(true).describe('Whether people sign in with a password.'),
    minimum_length: count(1, 128).default(8).describe('How many characters a new password has at least.'),
    bcrypt_pepper: secret
      .optional()
      .describe('The `password_config.pepper` of the Synapse whose users were imported.'),
    bcrypt_pepper_file: path.optional().describe('A file that holds that pepper.'),
    max_concurrent: count(1, 256).default(availableParallelism()).meta({
      description: 'How many passwords are checked at the same time; each takes a processor core and 19 MiB.',
      defaultText: 'the number of processor cores',
    }),
    max_queue: count(0, 100_000)
      .default(64)
      .describe('How many more may wait; beyond that the answer is 503 with `Retry-After`.'),
  })
  .prefault({})
  .describe('Passwords.')

export type PasswordsConfig = Omit<z.output<typeof passwordsSection>, 'bcrypt_pepper_file'>
