import { PosternError } from '../../../errors.ts'
import { connectionParameters } from '../conninfo.ts'
import type { SynapseDatabase } from '../homeserver-config.ts'

/** A database for Postern beside Synapse's. */
export interface DatabaseBeside {
  /** Undefined for the embedded one. */
  uri: string | undefined
  /** The SQL that makes it. */
  create: string | undefined
  /** What could not be carried over. */
  notes: string[]
}

/** What libpq and Node.js' client both understand, besides host, port, user, password and dbname. */
const KEPT = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey']
/** What needs no word: they make no difference to where the connection goes. */
const NO_MATTER =
  /^(keepalives|tcp_user_timeout|application_name|fallback_application_name|connect_timeout|client_encoding|gssencmode|target_session_attrs)/

/**
 * The same PostgreSQL server with another database, or the embedded one beside SQLite.
 * @throws PosternError when it would be Synapse's own database
 */
export function databaseBeside(database: SynapseDatabase | undefined, name: string): DatabaseBeside {
  if (database?.engine !== 'postgresql') return { uri: undefined, create: undefined, notes: [] }
  const {
    dbname,
    user = '',
    password = '',
    host,
    hostaddr,
    port,
    ...others
  } = connectionParameters(database.args)
  if (name === (dbname ?? user))
    throw new PosternError(
      'database_name',
      `--database-name ${name}: is Synapse's own database; Postern needs one of its own`,
    )
  const notes: string[] = []
  const server = serverOf({ host: hostaddr ?? host, port }, notes)
  const query = sslOf(others, notes)
  if (server.includes(':', server.indexOf(']')) && server.startsWith('['))
    query.set('host', host ?? hostaddr ?? '')
  if (password === '')
    notes.push('database.args has no password, so there is none here (PGPASSWORD or a .pgpass file).')
  const dropped = Object.keys(others).filter((key) => !KEPT.includes(key) && !NO_MATTER.test(key))
  if (dropped.length > 0) notes.push(`Left out of database.args: ${dropped.join(', ')}.`)
  const login = user ? `${encodeURIComponent(user)}${password && `:${encodeURIComponent(password)}`}@` : ''
  const search = query.size > 0 ? `?${query}` : ''
  const owner = user ? ` owner ${quoted(user)}` : ''
  return {
    uri: `postgresql://${login}${server}/${encodeURIComponent(name)}${search}`,
    create: `create database ${quoted(name)}${owner}`,
    notes,
  }
}

function serverOf(
  { host, port }: { host: string | undefined; port: string | undefined },
  notes: string[],
): string {
  if (host?.includes(',') || port?.includes(','))
    notes.push(`Of several hosts only the first was taken: ${host ?? ''} ${port ?? ''}.`)
  const first = host?.split(',')[0] || '/var/run/postgresql'
  if (!host) notes.push("database.args names no host: Debian's folder of PostgreSQL's socket was taken.")
  const firstPort = port?.split(',')[0]
  // A socket's folder is written as a host; an IPv6 address needs its brackets.
  const written = first.startsWith('/')
    ? encodeURIComponent(first)
    : first.includes(':')
      ? `[${first}]`
      : first
  return firstPort ? `${written}:${firstPort}` : written
}

/** libpq's `require` encrypts without a check, and so it stays; its `prefer` falls back to plain text, which is the default here. */
function sslOf(parameters: Readonly<Record<string, string>>, notes: string[]): URLSearchParams {
  const query = new URLSearchParams()
  const { sslmode, sslrootcert } = parameters
  if (sslmode === undefined || sslmode === 'prefer' || sslmode === 'allow') return query
  for (const key of KEPT) if (parameters[key]) query.set(key, parameters[key])
  if (sslmode === 'verify-ca' && !sslrootcert) {
    query.set('sslmode', 'verify-full')
    notes.push('sslmode verify-ca without sslrootcert became verify-full, which checks the host name too.')
  }
  if (sslmode !== 'disable') query.set('uselibpqcompat', 'true')
  return query
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
