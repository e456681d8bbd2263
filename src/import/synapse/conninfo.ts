import { HomeserverConfigError } from './homeserver-files.ts'

/**
 * libpq's parameters from psycopg2's arguments, with those of a `dsn` among them (a URI, or "key=value key='value'").
 * @throws HomeserverConfigError for a dsn that is neither
 */
export function connectionParameters(args: Readonly<Record<string, unknown>>): Record<string, string> {
  const { dsn, database, ...rest } = args
  const given = Object.entries({ dbname: database, ...rest }).filter(
    // psycopg2 leaves out what is None; Synapse's own arguments begin with cp_.
    ([key, value]) => value !== undefined && value !== null && value !== '' && !key.startsWith('cp_'),
  )
  const parameters = Object.fromEntries(given.map(([key, value]) => [key, String(value)]))
  return typeof dsn === 'string' ? { ...parseDsn(dsn), ...parameters } : parameters
}

function parseDsn(dsn: string): Record<string, string> {
  if (/^postgres(ql)?:\/\//.test(dsn)) return parseUri(dsn)
  const result: Record<string, string> = {}
  // PostgreSQL manual, 32.1.1.1 "Keyword/Value Connection Strings"
  const pattern = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gy
  let end = 0
  for (const match of dsn.matchAll(pattern)) {
    result[match[1]!] = (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1')
    end = match.index + match[0].length
  }
  if (dsn.slice(end).trim() !== '')
    throw new HomeserverConfigError('database.args.dsn: is no connection string')
  return result
}

function parseUri(dsn: string): Record<string, string> {
  // PostgreSQL manual, 32.1.1.2: the host may be empty although there is a user, which is no URL elsewhere.
  const match =
    /^\w+:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?(\[[^\]]*\]|[^:/?]*)(?::(\d*))?(?:\/([^?]*))?(?:\?(.*))?$/.exec(
      dsn,
    )
  if (!match) throw new HomeserverConfigError('database.args.dsn: is no connection string')
  const [user, password, host, port, dbname] = match.slice(1, 6).map((part) => decodeURIComponent(part ?? ''))
  const parts = { user, password, host: host?.replace(/^\[|\]$/g, ''), port, dbname }
  const filled = Object.entries(parts).filter((entry): entry is [string, string] => Boolean(entry[1]))
  return { ...Object.fromEntries(filled), ...Object.fromEntries(new URLSearchParams(match[6] ?? '')) }
}
