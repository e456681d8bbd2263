import { hash } from '@node-rs/bcrypt'
import type { OldDatabase } from './migrate/old-database.ts'

export const IMPORT_SERVER_NAME = 'localhost.test'
export const IMPORT_PEPPER = 'pepper of the old days'
/** NFKC makes something else of the ligature. */
export const IMPORT_PASSWORD = 'oﬃcer of the old days'

export const userId = (localpart: string) => `@${localpart}:${IMPORT_SERVER_NAME}`

/** Tokens of the people that `addPeople` makes. */
export const TOKENS = {
  alicePhone: 'syt_YWxpY2U_abcdefghijklmnopqrst_0aBcDe',
  aliceMacaroon: 'MDAxYmxvY2F0aW9uIGxvY2FsaG9zdC50ZXN0CjAwMTNpZGVudGlmaWVyIGtleQo',
  aliceScript: 'syt_YWxpY2U_WithoutAnyDeviceAtAl_1aBcDe',
  aliceOdd: 'syt_YWxpY2U_deviceWithSpacesInIt_2aBcDe',
  laptop: 'syt_YWxpY2U_laptopaccessaccessac_3aBcDe',
  laptopRefresh: 'syr_YWxpY2U_laptoprefreshrefresh_3aBcDe',
  /** Exchanged for the next pair, of which nothing was used. */
  tabletOldRefresh: 'syr_YWxpY2U_tabletoldoldoldoldol_4aBcDe',
  tabletNext: 'syt_YWxpY2U_tabletnextnextnextne_5aBcDe',
  tabletNextRefresh: 'syr_YWxpY2U_tabletnextnextnextne_5aBcDe',
  /** Exchanged for a pair that was used. */
  spentRefresh: 'syr_YWxpY2U_spentspentspentspent_6aBcDe',
  spentNext: 'syt_YWxpY2U_spentnextspentnextsp_7aBcDe',
  spentNextRefresh: 'syr_YWxpY2U_spentnextspentnextsp_7aBcDe',
  expired: 'syt_YWxpY2U_expiredexpiredexpire_8aBcDe',
  root: 'syt_cm9vdA_rootrootrootrootroot_9aBcDe',
  locked: 'syt_bG90dGU_lockedlockedlockedlo_0bBcDe',
  suspended: 'syt_c3VzaQ_suspendedsuspendedsu_1bBcDe',
  bridged: 'syt_YnJpZGdl_bridgedbridgedbridge_2bBcDe',
  puppet: 'syt_YWxpY2U_puppetpuppetpuppetpu_3bBcDe',
  orphan: 'syt_Z2hvc3Q_orphanorphanorphanor_4bBcDe',
} as const

export const LAST_SEEN_MS = 1_700_000_000_000
/** The end of what `laptop` may do at most, and of its tokens. */
export const LAPTOP_ENDS_MS = 4_000_000_000_000
const ACCESS_ENDS_MS = 3_900_000_000_000

/** Every kind of user, and of what belongs to one. */
export async function addPeople(database: OldDatabase): Promise<void> {
  // As Synapse makes them: NFKC, then the pepper.
  const password = await hash(`${IMPORT_PASSWORD.normalize('NFKC')}${IMPORT_PEPPER}`, 4)
  const user = (localpart: string, columns: Record<string, string> = {}) => {
    const all = {
      name: `'${userId(localpart)}'`,
      creation_ts: '1500000000',
      password_hash: `'${password}'`,
      ...columns,
    }
    return `insert into users (${Object.keys(all).join(', ')}) values (${Object.values(all).join(', ')});`
  }
  const device = (localpart: string, id: string, name = 'null') =>
    `insert into devices (user_id, device_id, display_name, last_seen, ip, user_agent)
       values ('${userId(localpart)}', '${id}', ${name}, ${LAST_SEEN_MS}, '192.0.2.7', 'App/1.0');`
  const access = (
    id: number,
    localpart: string,
    deviceId: string | null,
    token: string,
    more = 'null, null, null, null',
  ) =>
    `insert into access_tokens (id, user_id, device_id, token, last_validated, valid_until_ms, refresh_token_id, used, puppets_user_id)
       values (${id}, '${userId(localpart)}', ${deviceId === null ? 'null' : `'${deviceId}'`}, '${token}', 1600000000000, ${more});`
  const refresh = (id: number, deviceId: string, token: string, more = 'null, null, null') =>
    `insert into refresh_tokens (id, user_id, device_id, token, next_token_id, expiry_ts, ultimate_session_expiry_ts)
       values (${id}, '${userId('alice')}', '${deviceId}', '${token}', ${more});`
  await database.run(
    [
      user('alice'),
      // Only the case is another: two people, in Synapse as well as here.
      user('Alice'),
      user('root', { admin: '1' }),
      user('lotte', { locked: 'true' }),
      user('susi', { suspended: 'true' }),
      user('shade', { shadow_banned: 'true' }),
      user('dora', { deactivated: '1', password_hash: 'null' }),
      user('nell', { password_hash: 'null' }),
      user('12345', { is_guest: '1', password_hash: 'null' }),
      user('bridge_anna', { appservice_id: `'bridge'`, password_hash: 'null' }),
      user('bridge_bert', { password_hash: 'null' }),
      user('bridgebot', { password_hash: 'null' }),
      device('alice', 'PHONE', `'Alice''s phone \\ with	tab'`),
      device('alice', 'OLD'),
      device('alice', 'an odd "one"'),
      ...['LAPTOP', 'TABLET', 'SPENT', 'EXPIRED', 'KEYSONLY'].map((id) => device('alice', id)),
      `insert into devices (user_id, device_id, display_name, hidden) values ('${userId('alice')}', 'master key', 'master', true);`,
      device('root', 'ROOT'),
      device('lotte', 'LOTTE'),
      device('susi', 'SUSI'),
      device('12345', 'guest_device'),
      device('bridge_anna', 'BRIDGE'),
      refresh(1, 'LAPTOP', TOKENS.laptopRefresh, `null, ${LAPTOP_ENDS_MS}, ${LAPTOP_ENDS_MS}`),
      refresh(3, 'TABLET', TOKENS.tabletNextRefresh),
      refresh(2, 'TABLET', TOKENS.tabletOldRefresh, '3, null, null'),
      refresh(5, 'SPENT', TOKENS.spentNextRefresh),
      refresh(4, 'SPENT', TOKENS.spentRefresh, '5, null, null'),
      access(1, 'alice', 'PHONE', TOKENS.alicePhone),
      access(2, 'alice', 'OLD', TOKENS.aliceMacaroon),
      access(3, 'alice', null, TOKENS.aliceScript),
      access(4, 'alice', 'an odd "one"', TOKENS.aliceOdd),
      access(5, 'alice', 'LAPTOP', TOKENS.laptop, `${ACCESS_ENDS_MS}, 1, true, null`),
      access(6, 'alice', 'TABLET', TOKENS.tabletNext, `${ACCESS_ENDS_MS}, 3, false, null`),
      access(7, 'alice', 'SPENT', TOKENS.spentNext, `${ACCESS_ENDS_MS}, 5, true, null`),
      access(8, 'alice', 'EXPIRED', TOKENS.expired, '1000, null, true, null'),
      access(9, 'root', 'ROOT', TOKENS.root),
      access(10, 'lotte', 'LOTTE', TOKENS.locked),
      access(11, 'susi', 'SUSI', TOKENS.suspended),
      access(12, 'bridge_anna', 'BRIDGE', TOKENS.bridged),
      access(13, 'alice', null, TOKENS.puppet, `null, null, null, '${userId('root')}'`),
      `insert into user_threepids values ('${userId('alice')}', 'email', 'alice@mail.example.test', 1600000000000, 1600000000000);`,
      `insert into user_threepids values ('${userId('alice')}', 'msisdn', '447700900000', 1600000000000, 1600000000000);`,
      `insert into user_external_ids values ('oidc-keycloak', 'subject-of-alice', '${userId('alice')}');`,
    ].join('\n'),
  )
}

/** Rows that do not fit, of every kind. */
export async function addMisfits(database: OldDatabase): Promise<void> {
  const ghost = userId('ghost')
  const alice = userId('alice')
  await database.run(`
    insert into users (name, creation_ts) values
      ('@stray:elsewhere.test', 1500000000), ('${userId('b\u00e4r')}', 1500000000), ('${userId('with space')}', 1500000000),
      ('${userId('')}', 1500000000), ('nobody', 1500000000), ('${userId('x'.repeat(250))}', 1500000000);
    insert into users (name, creation_ts, password_hash) values ('${userId('phpbb')}', 1500000000, '$P$9abcdefgh');
    insert into user_threepids values
      ('${ghost}', 'email', 'ghost@mail.example.test', 1, 1), ('${userId('root')}', 'email', 'ALICE@mail.example.test', 1, 1700000000000),
      ('${alice}', 'email', 'no address', 1, 1), ('${ghost}', 'msisdn', '447700900001', 1, 1);
    insert into user_external_ids values
      ('oidc-keycloak', 'subject-of-ghost', '${ghost}'), ('oauth-delegated', '01ABC', '${alice}');
    insert into devices (user_id, device_id) values
      ('${ghost}', 'GHOST'), ('${alice}', '${'D'.repeat(300)}'), ('${alice}', ''), ('${userId('dora')}', 'DORA');
    insert into access_tokens (id, user_id, device_id, token) values
      (101, '${ghost}', 'GHOST', '${TOKENS.orphan}'), (102, '${alice}', 'GONE', 'syt_YWxpY2U_devicegonedevicegone_0cBcDe'),
      (103, '${alice}', 'PHONE', 'not-a-token-of-synapse'), (104, '${userId('dora')}', 'DORA', 'syt_ZG9yYQ_deactivateddeactiva_0dBcDe');
    insert into refresh_tokens (id, user_id, device_id, token) values (101, '${alice}', 'GONE', 'syr_YWxpY2U_devicegonedevicegone_0eBcDe');`)
}
