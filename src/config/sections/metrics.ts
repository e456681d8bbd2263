import { z } from 'zod'
import { count, text } from '../kinds.ts'

/** What a Prometheus may read. */
export const metricsSection = z
  .strictObject({
    port: count(1, 65_535)
      .optional()
      .describe('The TCP port on which a Prometheus reads `/metrics`. Without it there is none.'),
    host: text
      .default('localhost')
      .describe('The host name or address to listen on. Whoever reaches it reads the metrics.'),
  })
  .prefault({})
  .describe('Metrics for Prometheus, on a listener of their own.')

export type MetricsConfig = z.output<typeof metricsSection>
