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

/**
 * Lets PostgreSQL answer before the count is on the disk, for the statement that it stands in. A crash of the database may
 * forget the attempts of its last half second; whoever guesses cannot cause one, and each sign-in is spared two waits.
 */
const WITHOUT_WAITING = `set_config('synchronous_commit', 'off', true)`

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
    `with ${steps.join(',')}
     select counted.*, ${WITHOUT_WAITING} from (${found.join(' union all ')}) counted order by n`,
    [now.getTime(), ...counters.flatMap((one) => [one.key, expiryOf(one, now), one.limit.points])],
  )
  return rows.map(({ allowed, expire }) => ({ allowed, expiresAt: Number(expire) }))
}

/**
 * One after the other, in the order in which attempts are counted: no deadlock. `$1` is an array of their keys. Not in one
 * `update` of all: with statistics from when the table was small, PostgreSQL would read the whole of it.
 */
function giveBackEach(count: number): string {
  const steps = Array.from({ length: count }, (_, n) => {
    const behind = n > 0 ? ` and (select count(*) from g${n - 1}) >= 0` : ''
    return `g${n} as (
      update rate_limits set points = greatest(points - 1, 0) where key = ($1::text[])[${n + 1}]${behind} returning key)`
  })
  return `with ${steps.join(',')}`
}

/** Gives one attempt back under each counter. */
export async function giveBack(db: Knex, counters: readonly Counter[]): Promise<void> {
  await queryPrepared(
    db,
    `give-attempts-back-${counters.length}`,
    `${giveBackEach(counters.length)} select ${WITHOUT_WAITING}`,
    [counters.map(({ key }) => key)],
  )
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
    `give-attempts-back-and-mark-${counters.length}`,
    `${giveBackEach(counters.length)}, marked as (
       insert into rate_limits as r (key, points, expire) values ($2, 1, $3)
         on conflict (key) do update set points = 1, expire = excluded.expire where r.expire < excluded.expire - ${DAY_MS}
     ) select ${WITHOUT_WAITING}`,
    [counters.map(({ key }) => key), marked.key, expiryOf(marked, now)],
  )
}

/** Whether anything is counted. */
export async function isCounted(db: Knex, now: Date, { key }: Counter): Promise<boolean> {
  const row = await db('rate_limits').where({ key }).andWhere('expire', '>', now.getTime()).first('key')
  return row !== undefined
}
