import type { JobHandlers } from '../../jobs/jobs.ts'
import type { Passwords } from '../../users/passwords.ts'
import type { OpenSpan, Tracing } from '../tracing.ts'

/** Puts a span around each hashing of a password, the wait for a place included. */
export function tracePasswords(passwords: Passwords, tracing: Tracing): Passwords {
  const inSpan = <T>(name: string, work: () => Promise<T>) =>
    tracing.within({ name, facts: { 'postern.hashing.waiting': passwords.load().waiting } }, work)
  return {
    ...passwords,
    check: (password, stored) => inSpan('password check', () => passwords.check(password, stored)),
    hash: (password) => inSpan('password hash', () => passwords.hash(password)),
  }
}

/** Makes each job that runs a trace of its own: whoever queued it has long been answered. */
export function traceJobs(handlers: JobHandlers, tracing: Tracing): JobHandlers {
  const traced = Object.entries(handlers).map(([name, handler]) => [
    name,
    (data: never) =>
      tracing.within(
        { name: `job ${name}`, kind: 'consumer', parent: null, facts: { 'postern.job': name } },
        () => (handler as (data: never) => Promise<void>)(data),
      ),
  ])
  return Object.fromEntries(traced)
}

/** Around the query of a batch of requests, each of which may belong to a trace. */
export type AroundBatch = <T>(of: readonly OpenSpan[], size: number, query: () => Promise<T>) => Promise<T>

/**
 * Puts a span around the query of a batch. It works for many requests at once: it stands in the trace of the first, and
 * links to the others (OpenTelemetry, "Links between spans").
 */
export function traceBatch(tracing: Tracing, name: string): AroundBatch {
  return (of, size, query) => {
    const [first, ...others] = of.filter(({ recorded }) => recorded)
    if (!first) return query()
    return tracing.within(
      {
        name: `${name} batch`,
        kind: 'client',
        parent: first,
        links: others,
        facts: { 'db.system.name': 'postgresql', 'postern.batch.size': size },
      },
      query,
    )
  }
}
