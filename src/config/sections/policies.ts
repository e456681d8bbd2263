import { z } from 'zod'
import { network, path } from '../kinds.ts'

const name = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_]{0,63}$/,
    'is no name; write letters, digits and underscores only, such as office',
  )

/** Rules of the operator about who may sign in, and how. */
export const policiesSection = z
  .strictObject({
    folder: path
      .optional()
      .describe('The folder of the rule files (`*.yaml`). Without it there are no rules.'),
    networks: z
      .record(name, z.array(network).meta({ write: 'a list such as [10.0.0.0/8, fd00::/8]' }))
      .default({})
      .meta({
        type: 'networks by name',
        write: 'names with lists of networks, such as { office: [10.0.0.0/8] }',
        description: 'Networks that rules may name: `cidr(request.ip, networks.office)`.',
      }),
  })
  .prefault({})
  .describe('Rules about who may sign in, and how: see `docs/policies.md`.')

export type PoliciesConfig = Omit<z.output<typeof policiesSection>, 'folder'> & { folder: string | undefined }
