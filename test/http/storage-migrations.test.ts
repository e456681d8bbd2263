import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrate, pendingMigrations } from '../../src/storage/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase({ empty: true })
})

afterAll(() => database.close())

test('migrations that several processes start at once run once each', async () => {
  const expected = await pendingMigrations(database.knex)
  expect(expected[0]).toBe('0001_initial')

  const ran = await Promise.all([1, 2, 3].map(() => migrate(database.knex)))

  expect(ran.flat().toSorted()).toEqual(expected)
  expect(await pendingMigrations(database.knex)).toEqual([])
  const rows = await database.knex('knex_migrations').select('name').orderBy('id')
  expect(rows.map(({ name }) => name)).toEqual(expected)
})

test('a lock that a killed process left in the migrations table stops nobody', async () => {
  await migrate(database.knex)
  await database.knex('knex_migrations').where({ name: '0001_initial' }).select('id')
  await database.knex('knex_migrations_lock').update({ is_locked: 1 })
  await expect(migrate(database.knex)).resolves.toEqual([])
})

test('a database of a newer version is refused with its name', async () => {
  await migrate(database.knex)
  await database
    .knex('knex_migrations')
    .insert({ name: '9999_future', batch: 99, migration_time: new Date() })
  await expect(migrate(database.knex)).rejects.toThrow(/newer version of Postern .*9999_future/)
})

test('numbers of type bigint arrive as numbers', async () => {
  const { rows } = await database.knex.raw(
    'select 9007199254740991::bigint as big, array[1,2]::int[] as list',
  )
  expect(rows).toEqual([{ big: 9_007_199_254_740_991, list: [1, 2] }])
})
