import { createHash } from 'node:crypto'

/** How many statements a connection keeps at most; what is composed anew each time must not fill the database. */
const MOST = 300
const LONGEST_TEXT = 4000

const names = new Map<string, string>()

/** The part of a node-postgres client that runs statements. */
interface Runs {
  query(statement: unknown, ...rest: unknown[]): unknown
}

interface Statement {
  text?: string
  values?: unknown[]
  name?: string
}

/**
 * Gives each statement of a connection a name, so that PostgreSQL parses it once a connection and plans it a few times
 * rather than for every request: knex sends all of them nameless. Those with `*` stay so: a migration that adds a
 * column would make a prepared one fail ("cached plan must not change result type").
 */
export function nameStatements(client: Runs): void {
  const query = client.query.bind(client)
  client.query = (statement, ...rest) => query(named(statement), ...rest)
}

function named(statement: unknown): unknown {
  if (typeof statement !== 'object' || statement === null) return statement
  const { text, values, name } = statement as Statement
  if (name !== undefined || text === undefined || !values?.length) return statement
  const own = names.get(text) ?? newName(text)
  return own === undefined ? statement : { ...statement, name: own }
}

function newName(text: string): string | undefined {
  if (names.size >= MOST || text.length > LONGEST_TEXT || text.includes('*')) return undefined
  const name = `p_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
  names.set(text, name)
  return name
}
