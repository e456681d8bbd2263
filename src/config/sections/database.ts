import { z } from 'zod'
import { count, path, secret } from '../kinds.ts'

const uri = secret
  .refine((value) => {
    const url = URL.parse(value)
    return url?.protocol === 'postgresql:' || url?.protocol === 'postgres:'
  }, 'is not the address of a PostgreSQL database')
  .meta({ type: 'address', write: 'an address such as postgresql://postern:password@localhost/postern' })

/** Where the data lies. */
export const databaseSection = z
  .strictObject({
    uri: uri
      .optional()
      .describe(
        'The PostgreSQL database, such as `postgresql://postern:password@localhost/postern`. Without it the service runs a PostgreSQL of its own in the data folder.',
      ),
    uri_file: path.optional().describe('A file that holds that address.'),
    max_connections: count(2, 1000)
      .default(10)
      .describe('How many connections to the database the service opens at most.'),
  })
  .prefault({})
  .describe('The database.')

export type DatabaseConfig = Omit<z.output<typeof databaseSection>, 'uri_file'>
