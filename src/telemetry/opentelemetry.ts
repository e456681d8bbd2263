import {
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind as SpanKinds,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { parseTraceParent } from '@opentelemetry/core'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import { createCollectorClient } from './collector.ts'
import { errorType } from './error-type.ts'
import { inScope, presentScope } from './scope.ts'
import type { OpenSpan, SpanStart, Tracing } from './tracing.ts'

/** Spans that wait to be sent, at most: some MiB. While the collector is away, what is more is thrown away. */
const MAX_QUEUED = 2048
const SPANS_A_BATCH = 512
/** Milliseconds that a span waits for others at most. A kill loses no more than that. */
const SEND_EVERY = 1000
/** A route, a code or a name of ours is shorter; what is longer got here by mistake. */
const MAX_VALUE_LENGTH = 200

const KINDS = {
  internal: SpanKinds.INTERNAL,
  server: SpanKinds.SERVER,
  client: SpanKinds.CLIENT,
  consumer: SpanKinds.CONSUMER,
}

export interface OpenTelemetryOptions {
  endpoint: string
  sampleRatio: number
  serviceName: string
  log: Logger
}

/** OpenTelemetry's span under the names that the rest of the service knows. */
function openSpan(span: Span): OpenSpan {
  const { traceId, spanId, traceFlags } = span.spanContext()
  function failAs(type: string): void {
    span.setStatus({ code: SpanStatusCode.ERROR })
    span.setAttribute('error.type', type)
  }
  return {
    recorded: span.isRecording(),
    traceId,
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    note: (facts) => void span.setAttributes(facts),
    rename: (name) => void span.updateName(name),
    fail: (error) => failAs(errorType(error)),
    failAs,
    end: () => span.end(),
  }
}

/**
 * Traces by OpenTelemetry, sent by OTLP over HTTP. Only this file and the collector's client load its packages, and only
 * where tracing is switched on. Nothing is registered globally: who is whose parent is said by our own scopes, and what
 * libraries would trace by themselves (pg-boss would, with the messages of errors) stays out.
 */
export function startOpenTelemetry(options: OpenTelemetryOptions): Tracing {
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': options.serviceName })),
    // A trace is whole or not there at all, so whoever began it decides; we decide for those that begin here.
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
    spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: createCollectorClient(options),
        maxQueueSize: MAX_QUEUED,
        maxExportBatchSize: SPANS_A_BATCH,
        scheduledDelayMillis: SEND_EVERY,
      }),
    ],
  })
  const tracer = provider.getTracer('postern')
  const contexts = new WeakMap<OpenSpan, SpanContext>()

  function contextOf(parent: SpanStart['parent']): SpanContext | null | undefined {
    if (!parent) return undefined
    return 'end' in parent ? contexts.get(parent) : parseTraceParent(parent.traceparent)
  }

  function start({ name, kind = 'internal', facts = {}, links = [], ...given }: SpanStart): OpenSpan {
    const parent = contextOf(given.parent === undefined ? presentScope()?.span : given.parent)
    const span = tracer.startSpan(
      name,
      {
        kind: KINDS[kind],
        attributes: facts,
        links: links.flatMap((one) => {
          const context = contexts.get(one)
          return context ? [{ context }] : []
        }),
      },
      parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT,
    )
    const open = openSpan(span)
    contexts.set(open, span.spanContext())
    return open
  }

  return {
    start,
    async within(begin, work) {
      const span = start(begin)
      try {
        return await inScope({ span }, () => work(span))
      } catch (error) {
        span.fail(error)
        throw error
      } finally {
        span.end()
      }
    },
    async close(timeoutMs) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs)
      })
      // What could not be sent was logged by the collector's client.
      await Promise.race([provider.shutdown().catch(() => undefined), late])
      clearTimeout(timer)
    },
  }
}
