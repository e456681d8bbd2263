/** Values of a span's attributes. Never anything that a stranger typed, and never a secret: names, counts, codes. */
export type Facts = Readonly<Record<string, string | number | boolean>>

/** OpenTelemetry's span kinds, as far as they occur here. */
export type SpanKind = 'internal' | 'server' | 'client' | 'consumer'

export interface SpanStart {
  name: string
  kind?: SpanKind
  facts?: Facts
  /** The span that it belongs below: the present one, unless something else is said here. `null` begins a trace. */
  parent?: OpenSpan | { traceparent: string } | null
  /** Further spans that this one works for. */
  links?: readonly OpenSpan[]
}

/** A span that has begun. */
export interface OpenSpan {
  /** Whether it will be exported. What only an exported span needs is not worth computing otherwise. */
  readonly recorded: boolean
  readonly traceId: string
  /** What a called service is told: W3C Trace Context §3.2. */
  readonly traceparent: string
  note(facts: Facts): void
  rename(name: string): void
  /** Marks it as failed, by what kind of error it was and never by its message: messages repeat what was typed. */
  fail(error: unknown): void
  /** The same with a word of ours, or a status. */
  failAs(type: string): void
  end(): void
}

/**
 * Tracing that is switched on. Where it is off there is none of this: what would use it is not built, and nothing of
 * OpenTelemetry is loaded.
 */
export interface Tracing {
  /** Begins a span, for whom `within` does not fit. */
  start(span: SpanStart): OpenSpan
  /** Does work in a span: what it begins in turn, and logs, belongs to it. */
  within<T>(span: SpanStart, work: (span: OpenSpan) => Promise<T>): Promise<T>
  /** Sends what is left, for no longer than this. */
  close(timeoutMs: number): Promise<void>
}
