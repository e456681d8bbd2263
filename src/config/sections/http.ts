import { z } from 'zod'
import { baseUrl, count, network, seconds, text } from '../kinds.ts'

const listener = z
  .strictObject({
    host: text
      .default('localhost')
      .describe('The host name or address to listen on; `0.0.0.0` or `::` is all.'),
    port: count(0, 65_535).default(8080).describe('The TCP port; `0` takes any that is free.'),
  })
  .meta({ write: '{ host: localhost, port: 8080 }' })

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
      .default([{ host: 'localhost', port: 8080 }])
      .meta({
        type: 'list of listeners',
        write: 'a list such as [{ host: localhost, port: 8080 }]',
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
