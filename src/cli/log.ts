import { destination, type Logger, pino, stdTimeFunctions } from 'pino'

/** The server's log: JSON lines on standard output. */
export function serverLog(level: string): Logger {
  return pino({ level, base: null, timestamp: stdTimeFunctions.isoTime })
}

/** The log of the other commands: only what nobody else would say, on standard error. */
export function commandLog(): Logger {
  return pino({ level: 'fatal', base: null }, destination({ fd: 2, sync: true }))
}
