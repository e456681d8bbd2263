import {
  type DestinationStream,
  destination,
  type Logger,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino'
import { scopeOfLogLine } from '../telemetry/scope.ts'

/** PostgreSQL repeats the row or the value that it refused in these (ASVS 5.0, V16.2.5); our own errors keep theirs. */
function err(error: Error): object {
  const { detail, where: _where, ...rest } = stdSerializers.err(error) as Record<string, unknown>
  return 'severity' in rest ? rest : { ...rest, ...(detail === undefined ? {} : { detail }) }
}

/**
 * The server's log: JSON lines on standard output, or wherever a test reads them. What a request logs carries its ID,
 * and that of its trace where it is traced.
 */
export function serverLog(level: string, stream?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    serializers: { err },
    mixin: scopeOfLogLine,
  }
  return stream ? pino(options, stream) : pino(options)
}

/** The log of the other commands: only what nobody else would say, on standard error. */
export function commandLog(): Logger {
  return pino({ level: 'fatal', base: null }, destination({ fd: 2, sync: true }))
}
