import pg from 'pg'

// Stands in for PostgreSQL's own psql, which not every machine has: `psql -c SQL`, at the server in PGURI.
const [flag, sql] = process.argv.slice(2)
if (flag !== '-c' || sql === undefined) throw new Error('Only psql -c SQL is known here')
const client = new pg.Client({ connectionString: process.env.PGURI })
await client.connect()
try {
  await client.query(sql)
} finally {
  await client.end()
}
