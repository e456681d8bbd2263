import { type BatchDeps, createBatch } from '../../storage/batch.ts'
import { type IntrospectedToken, lookUpTokens } from './store.ts'

const MAX_BATCH = 256

/** Introspection reads the database every time (invariant 5) and is fast because lookups share queries. */
export function createLookupBatch(
  deps: Pick<BatchDeps<string, IntrospectedToken>, 'clientConfig' | 'log' | 'observe' | 'tracing'>,
) {
  const { ask, close } = createBatch<string, IntrospectedToken>({
    ...deps,
    name: 'introspection',
    most: MAX_BATCH,
    query: lookUpTokens,
  })
  /** The token with this hash (in hexadecimal) as the database has it after this call, or undefined when there is none. */
  return { lookUp: ask, close }
}

export type LookupBatch = ReturnType<typeof createLookupBatch>
