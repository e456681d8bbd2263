import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'

/** Milliseconds for one batch with all its repetitions. It also bounds how long a collector that hangs keeps a stop up. */
const EXPORT_TIMEOUT = 3000

/**
 * Sends spans to a collector by OTLP over HTTP, as JSON. Traces are for those who look at the service and must never be
 * its problem: while the collector is away spans are dropped, and the log says so once, not with every batch.
 */
export function createCollectorClient({ endpoint, log }: { endpoint: string; log: Logger }): SpanExporter {
  const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: EXPORT_TIMEOUT })
  const { origin } = new URL(endpoint)
  let away = false

  function note(error: Error | undefined, failed: boolean): void {
    if (failed === away) return
    away = failed
    // Not the error itself: it carries whatever the collector answered.
    if (failed) log.warn({ collector: origin, reason: reasonOf(error) }, 'tracing.collector_away')
    else log.info({ collector: origin }, 'tracing.collector_back')
  }

  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        note(result.error, result.error !== undefined || result.code !== 0)
        done(result)
      })
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}

function reasonOf(error: Error | undefined): string {
  if (!error) return 'no reason given'
  const { code, message } = error as Error & { code?: unknown }
  return typeof code === 'string' || typeof code === 'number' ? String(code) : message
}
