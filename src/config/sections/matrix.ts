import { isIPv6 } from 'node:net'
import { z } from 'zod'
import { baseUrl, path, seconds, secret } from '../kinds.ts'

/** Matrix specification, appendices, "Server name": a DNS name, IPv4 or bracketed IPv6 address, and a port. */
function isServerName(value: string): boolean {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9A-Za-z.-]{1,255}))(?::(\d{1,5}))?$/.exec(value)
  return match !== null && (match[1] === undefined || isIPv6(match[1]))
}

/** The homeserver that the service stands beside. */
export const matrixSection = z
  .strictObject({
    server_name: z
      .string()
      .refine(isServerName, 'is not a Matrix server name')
      .meta({ type: 'server name', write: 'the part after the colon of a user ID, such as example.org' })
      .default('localhost')
      .describe(
        'The server name of the homeserver: the part after the colon in `@user:example.org`. It cannot be changed once there are users.',
      ),
    endpoint: baseUrl
      .optional()
      .describe(
        'Where the service reaches the homeserver, such as `http://localhost:8008/`. Without it the service runs without a homeserver.',
      ),
    secret: secret
      .optional()
      .describe('The secret shared with the homeserver: its `matrix_authentication_service.secret`.'),
    secret_file: path.optional().describe('A file that holds that secret.'),
    request_timeout: seconds(1, 300).default(10).describe('How long one request to the homeserver may take.'),
  })
  .superRefine((value, ctx) => {
    // `secret_file` has become `secret` by the time of this check.
    const hasSecret = value.secret !== undefined
    if (value.endpoint !== undefined && !hasSecret) {
      const message = 'is missing, but matrix.endpoint is set; write the secret that the homeserver has, or'
      ctx.addIssue({ code: 'custom', path: ['secret'], message: `${message} name its file in secret_file` })
    }
    if (value.endpoint === undefined && hasSecret) {
      const message = 'is missing, but there is a secret; write where the homeserver is, such as'
      ctx.addIssue({ code: 'custom', path: ['endpoint'], message: `${message} http://localhost:8008/` })
    }
  })
  .prefault({})
  .describe('The homeserver.')

export type MatrixConfig = Omit<z.output<typeof matrixSection>, 'secret_file'>
