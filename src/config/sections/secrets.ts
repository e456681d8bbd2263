import { z } from 'zod'
import { path, text } from '../kinds.ts'

/** The service's own secrets. */
export const secretsSection = z
  .strictObject({
    master: text
      .regex(/^[0-9A-Fa-f]{64}$/, 'is not 64 hexadecimal digits')
      .meta({ write: 'the output of: openssl rand -hex 32' })
      .optional()
      .describe(
        'The secret from which cookies and stored codes are protected, 64 hexadecimal digits. Without it one is made on first start and kept in `master-secret` in the data folder.',
      ),
    master_file: path.optional().describe('A file that holds that secret.'),
    keys_folder: path.optional().meta({
      description:
        'The folder of the signing keys (PEM files, RSA of 2048 bits or more and EC P-256). On first start one of each is made there.',
      defaultText: '`keys` in the data folder',
    }),
  })
  .prefault({})
  .describe('Secrets and signing keys.')

export type SecretsConfig = Omit<z.output<typeof secretsSection>, 'master_file' | 'keys_folder'> & {
  keys_folder: string
}
