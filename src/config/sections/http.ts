import { z } from 'zod'
import { baseUrl, count, flag, network, path, seconds, text } from '../kinds.ts'

const listener = z
  .strictObject({
    host: text
      .default('127.0.0.1')
      .describe(
        'The address to listen on, or a name, whose first address is taken; `0.0.0.0` or `::` is all.',
      ),
    port: count(0, 65_535).default(8080).describe('The TCP port; `0` takes any that is free.'),
    unix: path.optional().describe('A Unix socket to listen on, instead of host and port.'),
    unix_mode: z
      .string()
      .regex(/^0?[0-7]{3}$/, 'is not the mode of a file')
      .meta({ type: 'mode', write: 'three octal digits in quotes, such as "660"' })
      .optional()
      .meta({ description: 'Who may connect to the Unix socket.', defaultText: '`"660"`' }),
    systemd: text
      .optional()
      .describe('The name (`FileDescriptorName=`) of sockets that systemd opened, instead of host and port.'),
    proxy_protocol: flag.optional().meta({
      description:
        'Whether every connection begins with a PROXY header (version 1 or 2), which tells the address of the client. Taken from `http.trusted_proxies` and on Unix sockets only; other connections are closed.',
      defaultText: '`false`',
    }),
  })
  .refine(({ unix, systemd }) => unix === undefined || systemd === undefined, {
    path: ['systemd'],
    message: 'is given beside unix; write only one of the two',
  })
  .meta({ write: '{ host: 127.0.0.1, port: 8080 }' })

export type ListenerConfig = z.output<typeof listener>

/** How the service is reached. */
export const httpSection = z
  .strictObject({
    public_url: baseUrl
      .default('http://localhost:8080/')
      .describe(
        'The address under which browsers, apps and the homeserver reach the service. It is the issuer, so choose it once: changing it later signs apps out. It may have a path.',
      ),
    listeners: z
      .array(listener)
      .min(1, 'is empty')
      .default([{ host: '127.0.0.1', port: 8080 }])
      .meta({
        type: 'list of listeners',
        write: 'a list such as [{ host: 127.0.0.1, port: 8080 }]',
        description: 'Where the service listens, in plain HTTP; TLS is the work of a reverse proxy.',
      }),
    trusted_proxies: z.array(network).default(['127.0.0.0/8', '::1/128']).meta({
      type: 'list of networks',
      write: 'a list such as [127.0.0.0/8, ::1/128]',
      description:
        'The networks of your reverse proxies. Only from them are `X-Forwarded-For` and its kin believed.',
    }),
    drain_limit: seconds(1, 600)
      .default(20)
      .describe(
        'How long a stop waits for requests that are being answered, before it cuts them off. Let whatever stops the service wait a little longer.',
      ),
  })
  .prefault({})
  .describe('How the service is reached.')

export type HttpConfig = z.output<typeof httpSection>
