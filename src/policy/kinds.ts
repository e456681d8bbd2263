/** A field that conditions may look at. `int` is a whole number of TypeScript's; CEL gets it as a 64-bit one. */
export interface Field {
  type: 'string' | 'bool' | 'int' | 'list<string>'
  doc: string
}

const text = (doc: string) => ({ type: 'string', doc }) as const
const flag = (doc: string) => ({ type: 'bool', doc }) as const
const number = (doc: string) => ({ type: 'int', doc }) as const
const texts = (doc: string) => ({ type: 'list<string>', doc }) as const

const request = {
  ip: text('The network address of whoever asks, as the trusted proxies report it.'),
  userAgent: text('What the browser or app calls itself; empty where it does not say.'),
}

const user = {
  localpart: text('The user name without server, such as `alice`. Empty where no user is involved.'),
  mxid: text('The whole user ID, such as `@alice:example.org`. Empty where no user is involved.'),
  admin: flag('Whether the user is an administrator here.'),
  mfa: flag('Whether the user gave a second factor. Always false until there are second factors.'),
}

const registeredClient = {
  name: text('The name that the app gave itself. Anyone can register any name.'),
  uri: text('Its `client_uri`.'),
  host: text('The host of its `client_uri`, else of its first redirect URI.'),
  redirectUris: texts('Its redirect URIs.'),
  grantTypes: texts('Its grant types, such as `authorization_code`.'),
  applicationType: text('`web` or `native`.'),
  authMethod: text('`none` for public apps, `client_secret_basic` or `client_secret_post`.'),
}

const session = {
  authAge: number('How many seconds ago the person gave their password.'),
}

/**
 * The decisions that rules can be written for (`on:`), each with what its conditions may look at. The tables of
 * docs/policies.md are made from this.
 */
export const KINDS = {
  client_registration: { client: registeredClient, request },
  authorization_grant: {
    grantType: text('`authorization_code`, `device_code` or `client_credentials`.'),
    scopes: texts('Every scope that is asked for, in its stable spelling.'),
    client: {
      id: text('Its `client_id`.'),
      kind: text('`dynamic` (registered itself), `static` (added by command) or `configured`.'),
      ...registeredClient,
    },
    user,
    session,
    request,
  },
  password_login: {
    login: {
      door: text('Where the password was typed: `page`, `compat` (an older app) or `password_change`.'),
    },
    user,
    request,
  },
  compat_login: {
    login: {
      type: text(
        '`password`, `sso` (the page that asks before an older app gets in) or `token` (the app comes back from it).',
      ),
    },
    device: {
      id: text('The device ID that the app asks for; empty for a new one, and on the `sso` page.'),
      name: text('The name that the app gives the device; empty on the `sso` page.'),
    },
    user,
    session,
    request,
  },
  session_limit: {
    user,
    session: { kind: text('What is about to be made: `oauth` or `compat` (an older app).') },
  },
} as const satisfies Record<string, Record<string, Field | Record<string, Field>>>

export type PolicyKind = keyof typeof KINDS

interface Values {
  string: string
  bool: boolean
  int: number
  'list<string>': readonly string[]
}
type ValueOf<Of> = Of extends { type: infer Type extends keyof Values; doc: string }
  ? Values[Type]
  : { readonly [Name in keyof Of]: ValueOf<Of[Name]> }

/** What a decision of a kind is made from. */
export type PolicyInput<Kind extends PolicyKind = PolicyKind> = ValueOf<(typeof KINDS)[Kind]>

/** A kind's variables without their types, for code that walks them. */
export type Variables = Readonly<Record<string, Field | Readonly<Record<string, Field>>>>

export const policyKinds = Object.keys(KINDS) as PolicyKind[]

/** The outcomes, strongest first; allowing is that no rule matched. */
export const OUTCOMES = ['deny', 'require_mfa', 'reauthenticate'] as const
export type Outcome = (typeof OUTCOMES)[number]

export function variablesOf(kind: PolicyKind): Variables {
  return KINDS[kind]
}

export function isField(variable: Variables[string]): variable is Field {
  return typeof variable.doc === 'string'
}
