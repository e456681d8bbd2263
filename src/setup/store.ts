import type { Knex } from 'knex'

const PURPOSE = 'first-admin'

/** Stores a ticket by its hash. */
export async function insertSetupTicket(
  db: Knex,
  { hash, createdAt, expiresAt }: { hash: Buffer; createdAt: Date; expiresAt: Date },
): Promise<void> {
  await db('tickets').insert({ hash, purpose: PURPOSE, created_at: createdAt, expires_at: expiresAt })
}

/** Whether a ticket can still be used. */
export async function isSetupTicketValid(db: Knex, hash: Buffer, now: Date): Promise<boolean> {
  const row = await db('tickets')
    .where({ hash, purpose: PURPOSE })
    .whereNull('consumed_at')
    .where('expires_at', '>', now)
    .first('hash')
  return row !== undefined
}

/**
 * Lets one set-up at a time go on, until the transaction ends: every replica prints a ticket of its own, and two
 * people with two tickets must not both become the first.
 */
export async function lockSetup(trx: Knex): Promise<void> {
  await trx.raw('select pg_advisory_xact_lock(hashtextextended(?, 0))', ['postern:first-admin'])
}

/** Consumes a ticket by one conditional UPDATE. Returns whether it could still be used (invariant 4). */
export async function consumeSetupTicket(trx: Knex, hash: Buffer, now: Date): Promise<boolean> {
  const rows = await trx('tickets')
    .where({ hash, purpose: PURPOSE })
    .whereNull('consumed_at')
    .where('expires_at', '>', now)
    .update({ consumed_at: now })
    .returning('hash')
  return rows.length === 1
}
