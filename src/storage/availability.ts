import type { Knex } from 'knex'
import knexFactory from 'knex'

/** What the operating system says about a connection that did not come about or broke. */
const SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
])

/**
 * SQLSTATE classes and codes that pass: connection exceptions (08), insufficient resources (53), shutdown and
 * start-up (57P0x), a statement that took too long (57014), a lock that was not available (55P03), a replica
 * without writes (25006, during a fail-over), a transaction that stood in another's way (40001, 40P01).
 */
const SQLSTATES = /^(08...|53...|57P0.|57014|55P03|25006|40001|40P01)$/

/** node-postgres has no codes for what it finds out itself, and knex puts the statement before its message. */
const DRIVER_MESSAGES =
  /(?:^| - )(?:Connection terminated|timeout expired|timeout exceeded|Query read timeout|Client has encountered a connection error|Client was closed|The database stopped answering|Unable to acquire a connection|aborted$)/

/** Whether an error says that the database is away or overloaded, so that the same request may work later. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof knexFactory.KnexTimeoutError) return true
  if (error instanceof AggregateError && error.errors.some(isUnavailable)) return true
  if (!(error instanceof Error)) return false
  const { code, syscall } = error as Error & { code?: unknown; syscall?: unknown }
  if (typeof code === 'string') {
    if (SYSTEM_CODES.has(code) || SQLSTATES.test(code)) return true
    // A Unix socket that is not there, or that nobody may open.
    if (syscall === 'connect') return true
  }
  return DRIVER_MESSAGES.test(error.message) || (error.cause !== undefined && isUnavailable(error.cause))
}

/** Whether the database answers within two seconds. */
export async function ready(database: { knex: Knex }): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, 2_000, false)
  })
  const answer = database.knex.raw('select 1').then(
    () => true,
    () => false,
  )
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
