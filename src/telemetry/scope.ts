import { AsyncLocalStorage } from 'node:async_hooks'
import type { OpenSpan } from './tracing.ts'

/** What is known of the piece of work that runs, wherever it went meanwhile: a request, or a traced job. */
export interface Scope {
  /** Of the request; jobs have none. */
  requestId?: string
  /** The span below which further ones belong; absent where nothing is traced. */
  span?: OpenSpan
}

/**
 * One for the whole process, because it is no state: it says whose call this is, and the log asks for it on lines that
 * know nothing of requests. The homeserver's introspection has no scope unless it is traced, and so costs nothing.
 */
const scopes = new AsyncLocalStorage<Scope>()

/** The scope of the present piece of work, if it has one. */
export function presentScope(): Scope | undefined {
  return scopes.getStore()
}

/** Does work in a scope; what the present one knows, and the new one does not, is kept. */
export function inScope<T>(scope: Scope, work: () => T): T {
  return scopes.run({ ...scopes.getStore(), ...scope }, work)
}

/** Does work that many share, such as a connection's, in no scope: not in that of whoever happened to begin it. */
export function outsideScopes<T>(work: () => T): T {
  return scopes.exit(work)
}

/** What every log line says of the work that it comes from, so that it can be found again. */
export function scopeOfLogLine(): { requestId?: string; traceId?: string } {
  const scope = scopes.getStore()
  if (!scope) return {}
  const { requestId, span } = scope
  return {
    ...(requestId === undefined ? {} : { requestId }),
    ...(span?.recorded ? { traceId: span.traceId } : {}),
  }
}
