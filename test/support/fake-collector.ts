import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

/** A span as it came in, with its attributes by name. */
export interface CollectedSpan {
  traceId: string
  spanId: string
  parentSpanId: string | undefined
  name: string
  kind: number
  failed: boolean
  facts: Record<string, unknown>
  links: { traceId: string; spanId: string }[]
}

export interface FakeCollector {
  /** What to write as `tracing.endpoint`. */
  endpoint: string
  /** Every span so far. */
  spans: CollectedSpan[]
  /** Every body so far, as it was sent. */
  bodies: unknown[]
  headers: IncomingHttpHeaders[]
  /** How it behaves from now on: takes spans, fails with a status, or never answers. */
  behave(how: 'well' | number | 'hang'): void
  stop(): Promise<void>
}

interface OtlpValue {
  stringValue?: string
  intValue?: number | string
  boolValue?: boolean
  doubleValue?: number
}

interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  status?: { code?: number }
  attributes?: { key: string; value: OtlpValue }[]
  links?: { traceId: string; spanId: string }[]
}

interface OtlpRequest {
  resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[]
}

/** A collector of OpenTelemetry that takes traces by OTLP over HTTP, in JSON (OTLP 1.7, "JSON Protobuf Encoding"). */
export async function startFakeCollector({ port = 0 }: { port?: number } = {}): Promise<FakeCollector> {
  const spans: CollectedSpan[] = []
  const bodies: unknown[] = []
  const headers: IncomingHttpHeaders[] = []
  let behaviour: 'well' | number | 'hang' = 'well'

  const server = createServer(async (request, response) => {
    const body = (await json(request)) as OtlpRequest
    if (behaviour === 'hang') return
    if (behaviour !== 'well' || request.method !== 'POST' || request.url !== '/v1/traces') {
      response.writeHead(typeof behaviour === 'number' ? behaviour : 404).end()
      return
    }
    bodies.push(body)
    headers.push(request.headers)
    spans.push(
      ...body.resourceSpans.flatMap((one) => one.scopeSpans).flatMap((one) => one.spans.map(collected)),
    )
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')

  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    spans,
    bodies,
    headers,
    behave(how) {
      behaviour = how
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function collected({ traceId, spanId, parentSpanId, name, kind, ...rest }: OtlpSpan): CollectedSpan {
  const facts = (rest.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]])
  return {
    traceId,
    spanId,
    parentSpanId,
    name,
    kind,
    failed: rest.status?.code === 2,
    facts: Object.fromEntries(facts),
    links: (rest.links ?? []).map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
  }
}
