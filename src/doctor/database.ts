import { openDatabase } from '../storage/connection.ts'
import { connectionFacts } from '../storage/connection-facts.ts'
import type { Log } from '../storage/log.ts'
import { appliedMigrations, pendingMigrations } from '../storage/migrate.ts'
import { type DoctorDeps, type Finding, ok, problem } from './finding.ts'

/** The oldest PostgreSQL that its makers still mend when this was written. */
const OLDEST_MAJOR = 14

/** Whether the database can be reached, is recent enough, and has this version's schema. Changes nothing in it. */
export async function checkDatabase({ config }: DoctorDeps, log: Log): Promise<Finding[]> {
  const where = config.database.uri ? 'your PostgreSQL' : 'the embedded PostgreSQL'
  try {
    const database = await openDatabase(config, { log })
    try {
      const { version, major, connectionsLeft } = await connectionFacts(database.knex)
      const findings = [
        major < OLDEST_MAJOR
          ? problem('database', `${where} is version ${version}`, `Upgrade it to ${OLDEST_MAJOR} or newer`)
          : ok('database', `${where} answers, version ${version}`),
      ]
      if (connectionsLeft < config.database.max_connections)
        findings.push(
          problem(
            'database',
            `only ${connectionsLeft} connections are left`,
            'Raise max_connections of PostgreSQL, or lower database.max_connections',
          ),
        )
      const applied = await appliedMigrations(database.knex)
      const pending = await pendingMigrations(database.knex)
      findings.push(
        pending.length > 0
          ? problem(
              'database',
              `the schema lacks ${pending.join(', ')}`,
              'Start the server, or run: postern database migrate',
            )
          : ok('database', `the schema is up to date (${applied.size} migrations)`),
      )
      return findings
    } finally {
      await database.close()
    }
  } catch (error) {
    const todo = config.database.uri
      ? 'Start it, and check database.uri, its password and what PostgreSQL lets in (pg_hba.conf)'
      : `See postgres.log in ${config.data_folder}`
    return [problem('database', `${where} cannot be used: ${(error as Error).message}`, todo)]
  }
}
