import pino from 'pino'
import { holdServerLock, openDatabase } from '../../src/storage/connection.ts'

/** A process that opens the embedded database of a folder, says so, and keeps it until it is killed or told to end. */
const [, , dataFolder = '', role] = process.argv
const database = await openDatabase(
  { data_folder: dataFolder, database: { uri: undefined, max_connections: 2 } },
  { log: pino({ level: 'silent' }) },
)
if (role === 'server') await holdServerLock(database)
process.once('SIGTERM', () => void database.close().then(() => process.exit(0)))
process.stdout.write('open\n')
setInterval(() => undefined, 60_000)
