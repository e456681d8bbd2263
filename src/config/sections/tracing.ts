import { z } from 'zod'
import { text } from '../kinds.ts'

/** Nothing secret has its place in an address: headers are for that. */
const endpoint = z
  .string()
  .superRefine((value, ctx) => {
    const url = URL.parse(value)
    const problem = !/^https?:$/.test(url?.protocol ?? '')
      ? 'is not an http or https address'
      : url?.username || url?.password || url?.search || url?.hash
        ? 'has a user name, password, query or fragment in it'
        : undefined
    if (problem) ctx.addIssue({ code: 'custom', message: problem })
  })
  .meta({ type: 'address', write: 'an address such as http://localhost:4318/v1/traces' })

/** OpenTelemetry traces. */
export const tracingSection = z
  .strictObject({
    endpoint: endpoint
      .optional()
      .describe(
        'Where a collector takes traces by OTLP over HTTP, such as `http://localhost:4318/v1/traces`. Without it nothing is traced.',
      ),
    sample_ratio: z
      .number()
      .min(0)
      .max(1)
      .meta({ type: 'number from 0 to 1', write: 'a number from 0 to 1, such as 0.1 for every tenth' })
      .default(1)
      .describe('How many of the traces that begin here are recorded, from `0` (none) to `1` (all).'),
    service_name: text.default('postern').describe('What the traces call this service (`service.name`).'),
  })
  .prefault({})
  .describe('OpenTelemetry traces: see `docs/operate.md`.')

export type TracingConfig = z.output<typeof tracingSection>
