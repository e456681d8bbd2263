/** What a column becomes on the way: `hash` is the SHA-256 of a token, which is never read as it is where that can be helped. */
export type ColumnType = 'text' | 'bigint' | 'boolean' | 'hash' | 'form'

export interface Column {
  /** Its name on this side. */
  name: string
  type: ColumnType
  /** Its name in Synapse, where that differs. */
  from?: string
  /** Of a form: how such a token begins, four characters each. */
  prefixes?: readonly string[]
}

export interface SynapseTable {
  name: string
  columns: Column[]
  /** Columns without which the table is not Synapse's. Older schemas lack others, which are then empty. */
  required: string[]
}

const text = (name: string): Column => ({ name, type: 'text' })
const bigint = (name: string): Column => ({ name, type: 'bigint' })
const boolean = (name: string): Column => ({ name, type: 'boolean' })

/** The tables that are read, in that order, with the columns that matter. */
export const SYNAPSE_TABLES: readonly SynapseTable[] = [
  {
    name: 'users',
    required: ['name'],
    columns: [
      { name: 'user_id', type: 'text', from: 'name' },
      text('password_hash'),
      bigint('creation_ts'),
      text('appservice_id'),
      ...['admin', 'is_guest', 'deactivated', 'locked', 'suspended', 'approved', 'shadow_banned'].map(
        boolean,
      ),
    ],
  },
  {
    name: 'user_threepids',
    required: ['user_id', 'medium', 'address'],
    columns: [text('user_id'), text('medium'), text('address'), bigint('validated_at'), bigint('added_at')],
  },
  {
    name: 'user_external_ids',
    required: ['user_id'],
    columns: [text('auth_provider'), text('external_id'), text('user_id')],
  },
  {
    name: 'devices',
    required: ['user_id', 'device_id'],
    columns: [
      ...['user_id', 'device_id', 'display_name', 'ip', 'user_agent'].map(text),
      bigint('last_seen'),
      // Keys of cross-signing, never devices.
      boolean('hidden'),
    ],
  },
  {
    name: 'access_tokens',
    required: ['id', 'token'],
    columns: [
      ...['id', 'valid_until_ms', 'last_validated', 'refresh_token_id'].map(bigint),
      ...['user_id', 'device_id', 'puppets_user_id'].map(text),
      boolean('used'),
      { name: 'hash', type: 'hash', from: 'token' },
      // A value can be one kind of token only, so that no two rows come to the same hash.
      { name: 'known_form', type: 'form', from: 'token', prefixes: ['syt_', 'MDAx'] },
    ],
  },
  {
    name: 'refresh_tokens',
    required: ['id', 'token'],
    columns: [
      ...['id', 'next_token_id', 'expiry_ts', 'ultimate_session_expiry_ts'].map(bigint),
      ...['user_id', 'device_id'].map(text),
      { name: 'hash', type: 'hash', from: 'token' },
      { name: 'known_form', type: 'form', from: 'token', prefixes: ['syr_'] },
    ],
  },
]

/** Tables that a Synapse from before refresh tokens or single sign-on does not have. */
export const OPTIONAL_TABLES: ReadonlySet<string> = new Set(['refresh_tokens', 'user_external_ids'])
