import { presentScope } from '../scope.ts'
import type { Tracing } from '../tracing.ts'

/** The part of a node-postgres client that runs statements. */
interface Runs {
  query(statement: unknown, ...rest: unknown[]): unknown
}

/** Tells each connection of the pool apart from others: what runs a statement on it. */
export type OnConnection = (client: Runs) => void

/**
 * Puts a span around each statement of a traced request or job, named by what it does to which table. The statement's
 * own text stays out, and its values all the more: people's names and hashes of their secrets.
 */
export function traceStatements(tracing: Tracing): OnConnection {
  return (client) => {
    const query = client.query.bind(client)
    client.query = (statement, ...rest) => {
      // What nobody asked for, such as the queue's polling, would be a trace of its own each second.
      if (!presentScope()?.span?.recorded) return query(statement, ...rest)
      const summary = summaryOf(statement)
      const span = tracing.start({
        name: summary,
        kind: 'client',
        facts: { 'db.system.name': 'postgresql', 'db.query.summary': summary },
      })
      const ended = (error: unknown) => {
        if (error) span.fail(error)
        span.end()
      }
      // knex waits by a callback, our prepared statements by a promise.
      const callback = rest.at(-1)
      if (typeof callback === 'function') {
        const told = (error: unknown, result: unknown) => {
          ended(error)
          callback(error, result)
        }
        return query(statement, ...rest.slice(0, -1), told)
      }
      const result = query(statement, ...rest)
      if (result instanceof Promise) result.then(() => ended(undefined), ended)
      else ended(undefined)
      return result
    }
  }
}

const summaries = new Map<unknown, string>()
/** Statements are written in the code, but lists in them may have any length. */
const MOST = 1000

/** Such as `UPDATE tokens`: OpenTelemetry's `db.query.summary`. */
function summaryOf(statement: unknown): string {
  const text = typeof statement === 'string' ? statement : (statement as { text?: unknown })?.text
  const known = summaries.get(text)
  if (known !== undefined) return known
  const words = typeof text === 'string' ? text : ''
  const verb = /^\s*([a-z]{1,20})/i.exec(words)?.[1]?.toUpperCase() ?? 'STATEMENT'
  const table = /\b(?:from|into|update)\s+((?:"?[a-z_]{1,60}"?\.)?"?[a-z_]{1,60}"?)/i.exec(words)?.[1]
  const summary = table ? `${verb} ${table.replaceAll('"', '')}` : verb
  if (summaries.size < MOST) summaries.set(text, summary)
  return summary
}
