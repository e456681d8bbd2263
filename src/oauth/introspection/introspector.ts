import type { Clock } from '../../clock.ts'
import { hashSecretInHex, mayBeToken } from '../../tokens/format.ts'
import type { Activity } from './activity.ts'
import type { LookupBatch } from './batch.ts'
import { INACTIVE, type Introspection, introspect } from './response.ts'
import type { IntrospectedToken } from './store.ts'

export interface IntrospectOptions {
  readsDeviceId: boolean
  /** A caller that may see only some tokens: to it, others are inactive. */
  maySee?: (token: IntrospectedToken) => boolean
}

/** Answers what a token is good for, reading the database every time. */
export function createIntrospector(deps: { clock: Clock; batch: LookupBatch; activity: Activity }) {
  const { clock, batch, activity } = deps

  /** @throws UnavailableError when the database is away */
  return async function lookUp(token: string, options: IntrospectOptions): Promise<Introspection> {
    // A bad checksum is refused without asking the database.
    if (!mayBeToken(token)) return { answer: INACTIVE }
    const hash = hashSecretInHex(token)
    const found = await batch.lookUp(hash)
    if (found && options.maySee && !options.maySee(found)) return { answer: INACTIVE }
    const result = introspect(found, { now: clock.now(), readsDeviceId: options.readsDeviceId })
    if (found && 'answer' in result && result.answer.active && found.kind === 'access')
      activity.note(hash, found)
    return result
  }
}

export type Introspector = ReturnType<typeof createIntrospector>
