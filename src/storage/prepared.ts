import type { Knex } from 'knex'
import type { Client, QueryResult } from 'pg'

/**
 * Runs a named prepared statement on a connection of the pool, for the hot paths: PostgreSQL parses and plans it
 * once per connection, which knex alone cannot ask for.
 */
export async function queryPrepared<Row extends object>(
  db: Knex,
  name: string,
  text: string,
  values: unknown[],
): Promise<Row[]> {
  const connection: Client = await db.client.acquireConnection()
  try {
    const result: QueryResult<Row> = await connection.query<Row>({ name, text, values })
    return result.rows
  } catch (error) {
    // knex throws away a connection that carries this mark instead of putting it back into the pool.
    if (!(error instanceof Error && 'code' in error && 'severity' in error)) {
      Object.assign(connection, { __knex__disposed: error })
    }
    throw error
  } finally {
    db.client.releaseConnection(connection)
  }
}
