import type { Logger } from 'pino'
import type { Config } from '../config/index.ts'
import type { Tracing } from './tracing.ts'

/** Starts tracing where it is switched on. Where it is off, nothing of OpenTelemetry is loaded: it is 25 MB of memory. */
export async function startTracing(
  { tracing }: Pick<Config, 'tracing'>,
  log: Logger,
): Promise<Tracing | undefined> {
  const { endpoint, sample_ratio: sampleRatio, service_name: serviceName } = tracing
  if (endpoint === undefined) return undefined
  const { startOpenTelemetry } = await import('./opentelemetry.ts')
  return startOpenTelemetry({ endpoint, sampleRatio, serviceName, log })
}
