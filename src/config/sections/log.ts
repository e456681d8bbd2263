import { z } from 'zod'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** What is logged. */
export const logSection = z
  .strictObject({
    level: z
      .enum(LEVELS)
      .meta({ type: LEVELS.join(', '), write: `one of ${LEVELS.join(', ')}` })
      .default('info')
      .describe('The least level that is logged, as JSON lines on standard output.'),
  })
  .prefault({})
  .describe('The log.')

export type LogConfig = z.output<typeof logSection>
