import type { Logger } from 'pino'

/** What the storage layer needs of the log. */
export type Log = Pick<Logger, 'info' | 'warn' | 'error'>
