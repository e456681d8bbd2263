/** The first key of every advisory lock of this service, so that locks of others in the same database differ. */
const LOCK_CLASS = 0x706f7374

/** Postern's advisory locks, as the two integers that `pg_advisory_lock` takes. */
export const advisoryLocks = {
  /** Shared by everyone who has an embedded database open; exclusive while it is being stopped. */
  users: [LOCK_CLASS, 1],
  /** Held by the one server of an embedded database. */
  server: [LOCK_CLASS, 2],
  /** Held while migrations run. */
  migrations: [LOCK_CLASS, 3],
  /** Held while the job queue's tables are made or updated. */
  jobs: [LOCK_CLASS, 4],
} as const
