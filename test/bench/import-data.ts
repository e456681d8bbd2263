/** How many rows of each kind a made-up Synapse has. */
export interface DataSet {
  users: number
  devices: number
  emails: number
  /** Access tokens, those of refreshable sessions included. */
  access: number
  refresh: number
  links: number
}

export const FULL: DataSet = {
  users: 100_000,
  devices: 300_000,
  emails: 80_000,
  access: 150_000,
  refresh: 50_000,
  links: 30_000,
}

/** The numbers from 1 on, in words of both engines. */
const numbers = (count: number) =>
  `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})`

/** Statements that fill a Synapse's tables, the same rows in PostgreSQL and in SQLite. */
export function fillStatements({ users, devices, emails, access, refresh, links }: DataSet): string[] {
  const user = (expression: string) => `'@u' || (${expression}) || ':localhost.test'`
  const token = (kind: string) => `'${kind}_dXNlcg_AbCdEfGhIj' || (1000000000 + i) || '_0aBcDe'`
  const perUser = Math.round(devices / users)
  return [
    `insert into users (name, password_hash, creation_ts, admin, is_guest, deactivated, approved, locked, suspended, shadow_banned)
     ${numbers(users)} select ${user('i')}, case when i % 10 = 0 then null else
       '$2b$12$abcdefghijklmnopqrstuuZcXjWqlYBvYSqcWHM2J1dCQ8cJ7Oq9G' end, 1500000000 + i,
       case when i % 1000 = 0 then 1 else 0 end, 0, case when i % 50 = 0 then 1 else 0 end, true, i % 333 = 0, i % 444 = 0, false
       from n`,
    `insert into devices ${numbers(devices)}
     select ${user(`1 + (i - 1) / ${perUser}`)}, 'DEVICE' || i, 'Element Desktop on Linux', 1700000000000 + i,
       case when i % 30 = 0 then '-' else '192.0.2.7' end,
       'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Element/1.11', false from n`,
    `insert into refresh_tokens (id, user_id, device_id, token) ${numbers(refresh)}
     select i, ${user('i')}, 'DEVICE' || (1 + (i - 1) * ${perUser}), ${token('syr')} from n`,
    `insert into access_tokens (id, user_id, device_id, token, last_validated, valid_until_ms, refresh_token_id, used)
     ${numbers(access)} select i, ${user(`1 + (i - 1) % ${users}`)},
       'DEVICE' || (1 + ((i - 1) % ${users}) * ${perUser} + (i - 1) / ${users}), ${token('syt')}, 1690000000000,
       case when i <= ${refresh} then 1900000000000 end, case when i <= ${refresh} then i end, true from n`,
    `insert into user_threepids ${numbers(emails)}
     select ${user('i')}, 'email', 'u' || i || '@mail.example.test', 1700000000000, 1700000000000 from n`,
    `insert into user_external_ids ${numbers(links)} select 'oidc-dex', 'subject-' || i, ${user('i')} from n`,
  ]
}
