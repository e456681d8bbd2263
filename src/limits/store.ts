import type { Knex } from 'knex'
import { queryPrepared } from '../storage/prepared.ts'

/** How many attempts within how many seconds, from the first one on. */
export interface Limit {
  points: number
  per_seconds: number
}

/** A row of the table `rate_limits`: shared by all replicas, and still there after a restart. */
export interface Counter {
  key: string
  limit: Limit
}

/** What a counter says after an attempt was counted. */
export interface Counted {
  allowed: boolean
  /** In milliseconds of the service's clock: when it begins anew. */
  expiresAt: number
}

/** Counts one under the key, beginning anew where the counter's time is over. `$1` is now. */
function countOne(n: number): string {
  const [key, expire, most] = [3 * n + 2, 3 * n + 3, 3 * n + 4].map((place) => `$${place}`)
  return `c${n} as (
    insert into rate_limits as r (key, points, expire)
    select ${key}::text, 1, ${expire}::bigint ${n > 0 ? `from c${n - 1} where allowed` : ''}
        on conflict (key) do update
       set points = case when r.expire <= $1 then 1 else r.points + 1 end,
           expire = case when r.expire <= $1 then excluded.expire else r.expire end
    returning points <= ${most} as allowed, expire)`
}

const expiryOf = ({ limit }: Counter, now: Date) => now.getTime() + limit.per_seconds * 1000

/**
 * Counts one attempt under each counter in turn, in one statement. One that is over its limit ends it: those behind it
 * are not counted, and missing in the answer.
 */
export async function countInTurn(db: Knex, now: Date, counters: readonly Counter[]): Promise<Counted[]> {
  const steps = counters.map((_, n) => countOne(n))
  const found = counters.map((_, n) => `select ${n} as n, allowed, expire from c${n}`)
  const rows = await queryPrepared<{ allowed: boolean; expire: string }>(
    db,
    `count-attempts-${counters.length}`,
    `with ${steps.join(',')} ${found.join(' union all ')} order by n`,
    [now.getTime(), ...counters.flatMap((one) => [one.key, expiryOf(one, now), one.limit.points])],
  )
  return rows.map(({ allowed, expire }) => ({ allowed, expiresAt: Number(expire) }))
}

/** Takes the rows in the order of their keys' list, which is the order in which attempts are counted: no deadlock. */
const GIVE_BACK = `
  with held as (
    select r.key from rate_limits r join unnest($1::text[]) with ordinality as given(key, n) on given.key = r.key
     order by given.n for no key update of r
  )
  update rate_limits r set points = greatest(r.points - 1, 0) from held where r.key = held.key`

/** Gives one attempt back under each counter. */
export async function giveBack(db: Knex, counters: readonly Counter[]): Promise<void> {
  await queryPrepared(db, 'give-attempts-back', GIVE_BACK, [counters.map(({ key }) => key)])
}

const DAY_MS = 86_400_000

/** Gives one attempt back under each counter, and sets one more to one from now on; within a day that stays as it is. */
export async function giveBackAndMark(
  db: Knex,
  now: Date,
  counters: readonly Counter[],
  marked: Counter,
): Promise<void> {
  await queryPrepared(
    db,
    'give-attempts-back-and-mark',
    `with given as (${GIVE_BACK})
     insert into rate_limits as r (key, points, expire) values ($2, 1, $3)
       on conflict (key) do update set points = 1, expire = excluded.expire where r.expire < excluded.expire - ${DAY_MS}`,
    [counters.map(({ key }) => key), marked.key, expiryOf(marked, now)],
  )
}

/** Whether anything is counted. */
export async function isCounted(db: Knex, now: Date, { key }: Counter): Promise<boolean> {
  const row = await db('rate_limits').where({ key }).andWhere('expire', '>', now.getTime()).first('key')
  return row !== undefined
}
