import type { Message } from './messages.ts'

/** Left out, undefined and null all mean: not there. */
type Maybe<T> = T | null | undefined

/** A text of the catalogue, or words that come from elsewhere (shown cleaned and escaped). */
export type Words = Message | { readonly text: string }

/** Where a form posts to, with its CSRF token; `next` is carried along as a hidden field. */
export interface PageForm {
  action: string
  csrf: string
  next?: Maybe<string>
}

/** Errors by field name; `form` is for what belongs to no single field, such as a wrong user name or password. */
export type FormErrors = Readonly<Record<string, Message>>

/** The app that asks. Its own words (`name`) never stand without `host` unless it is `verified`. */
export interface ClientSummary {
  name?: Maybe<string>
  logoUri?: Maybe<string>
  /** Host of its `client_uri`. */
  host?: Maybe<string>
  /** Host of the redirect URI, for web apps and loopback. */
  redirectHost?: Maybe<string>
  /** Scheme of the redirect URI without the colon, for native apps (`io.element.app`). */
  redirectScheme?: Maybe<string>
  /** True for clients that the operator configured. */
  verified: boolean
  tosUri?: Maybe<string>
  policyUri?: Maybe<string>
}

export interface UserSummary {
  mxid: string
  displayName?: Maybe<string>
}

export interface DeviceSummary {
  id: string
  /** The other app that holds this device now and will be signed out: its name, or true where it has none. */
  replacesOtherApp?: Maybe<string | true>
}

export type ScopeWord = 'openid' | 'email' | 'matrix_api' | 'synapse_admin' | 'mas_admin'

export type SignInNotice =
  | 'locked'
  | 'deactivated'
  | 'expired'
  | 'reauthenticate'
  | 'too_many'
  | 'busy'
  | 'password_changed'

export interface SignInPage {
  form: PageForm
  username?: Maybe<string>
  errors?: Maybe<FormErrors>
  client?: Maybe<ClientSummary>
  notice?: Maybe<SignInNotice>
  /** Why a right password does not help: what a rule of the operator says. */
  refused?: Maybe<Words>
  /** Set where someone who is signed in must show that it is still them: the user name is then fixed. */
  reauthenticateAs?: Maybe<UserSummary>
  /** Offers a `Cancel` button (`action=cancel`). */
  cancel?: Maybe<boolean>
}

/** A rule of the operator does not let this person use this app; `action=cancel` goes back to it. */
export interface PolicyDeniedPage {
  form: PageForm
  user: UserSummary
  client?: Maybe<ClientSummary>
  message: Words
}

/** There is no room for one more session: which are to end? The form has a box `end_<id>` for each. */
export interface SessionLimitPage {
  form: PageForm
  sessions: readonly SessionSummary[]
  /** How many have to end at least. */
  toEnd: number
  errors?: Maybe<FormErrors>
}

export interface ConsentPage {
  form: PageForm
  client: ClientSummary
  user: UserSummary
  device?: Maybe<DeviceSummary>
  scopes: readonly ScopeWord[]
}

/** A sign-in of an app that knows only the legacy API: nobody has registered it, so all that is known is where it is. */
export interface SsoConsentPage {
  form: PageForm
  user: UserSummary
  destination: { host: string } | { scheme: string }
  /** The way there is not encrypted, and somebody on it could take the sign-in over. */
  insecure: boolean
}

export interface ChooseAccountPage {
  form: PageForm
  user: UserSummary
  client?: Maybe<ClientSummary>
}

export interface LinkPage {
  form: PageForm
  userCode?: Maybe<string>
  errors?: Maybe<FormErrors>
}

export interface LinkConfirmPage {
  form: PageForm
  client: ClientSummary
  user: UserSummary
  device?: Maybe<DeviceSummary>
  scopes: readonly ScopeWord[]
  userCode?: Maybe<string>
  request: {
    at: Date
    ip?: Maybe<string>
    userAgent?: Maybe<string>
  }
}

export interface LinkDonePage {
  outcome: 'approved' | 'denied'
  client?: Maybe<ClientSummary>
}

export interface SignOutPage {
  form: PageForm
  user?: Maybe<UserSummary>
  /** The app that asks, at RP-initiated logout. */
  client?: Maybe<ClientSummary>
}

export interface SignedOutPage {
  /** Where `Sign in again` goes; no link without it. */
  signInUrl?: Maybe<string>
}

export interface ErrorPage {
  status: number
  heading: Words
  message: Words
  requestId?: Maybe<string>
  backUrl?: Maybe<string>
}

/** Between here and an app that nobody approved yet and that is to be told of an error (RFC 9700 §4.11.2). */
export interface LeaveToAppPage {
  client: ClientSummary
  /** The full redirect URI with the error parameters. */
  url: string
  /** OAuth error code, shown in small print. */
  error: string
  description?: Maybe<string>
}

/** The authorization response as a form (OAuth 2.0 Form Post Response Mode); the script submits it. */
export interface FormPostPage {
  action: string
  fields: Readonly<Record<string, string>>
}

export interface FirstAdminPage {
  form: PageForm
  username?: Maybe<string>
  serverName: string
  minimumLength: number
  errors?: Maybe<FormErrors>
}

export interface FirstAdminInvalidPage {
  /** An admin exists already, so that there is nothing left to make. */
  adminExists?: Maybe<boolean>
  signInUrl?: Maybe<string>
}

export interface SessionSummary {
  id: string
  name: string
  clientName?: Maybe<string>
  clientHost?: Maybe<string>
  kind: 'oauth' | 'compat' | 'personal'
  deviceId?: Maybe<string>
  createdAt: Date
  lastActiveAt?: Maybe<Date>
  lastActiveIp?: Maybe<string>
  current?: Maybe<boolean>
}

export interface BrowserSessionSummary {
  id: string
  /** The browser in words (`Firefox on Linux`). */
  name: string
  createdAt: Date
  lastActiveAt?: Maybe<Date>
  lastActiveIp?: Maybe<string>
  /** This very browser: it offers `Sign out` in place of ending. */
  current?: Maybe<boolean>
}

/** What every account page has: who is signed in, and whether there is a password to change. */
export interface AccountFrame {
  user: UserSummary & { createdAt: Date }
  passwords: boolean
}

export type AccountNotice =
  | 'password_changed'
  | 'password_changed_others_ended'
  | 'session_ended'
  | 'session_gone'
  | 'browser_ended'

export interface AccountPage extends AccountFrame {
  sessions: readonly SessionSummary[]
  browsers: readonly BrowserSessionSummary[]
  /** For the small forms that end a browser session. */
  csrf: string
  notice?: Maybe<AccountNotice>
}

export interface AccountSessionPage extends AccountFrame {
  session: SessionSummary
  scopes: readonly ScopeWord[]
}

export interface AccountSessionEndPage extends AccountFrame {
  form: PageForm
  session: SessionSummary
}

export interface AccountPasswordPage extends AccountFrame {
  form: PageForm
  minimumLength: number
  endOthers?: Maybe<boolean>
  errors?: Maybe<FormErrors>
}

export interface AccountCrossSigningResetPage extends AccountFrame {
  form: PageForm
  /** Set once the reset is allowed: how long it stays so, in minutes. */
  allowedForMinutes?: Maybe<number>
  /** Why it cannot be allowed: not now, or not at all. */
  problem?: Maybe<'homeserver_away' | 'no_homeserver'>
}

export interface ReauthenticatePage {
  /** An app is about to be let in, rather than something changed. */
  forApp?: Maybe<boolean>
  form: PageForm
  user: UserSummary
  errors?: Maybe<FormErrors>
  notice?: Maybe<'too_many' | 'busy' | 'expired'>
  refused?: Maybe<Words>
}

export interface BusyPage {
  /** The person tried too often (429), rather than the service having too much to do (503). */
  tooMany?: Maybe<boolean>
  retryAfterSeconds: number
  /** A link that is safe to follow again; none after a POST. */
  retryUrl?: Maybe<string>
  /** Of the log's line about it. */
  requestId?: Maybe<string>
}

/** Every page with the data that it needs; `render` is typed by it. */
export interface PageData {
  'sign-in': SignInPage
  consent: ConsentPage
  'session-limit': SessionLimitPage
  'policy-denied': PolicyDeniedPage
  'sso-consent': SsoConsentPage
  'choose-account': ChooseAccountPage
  link: LinkPage
  'link-confirm': LinkConfirmPage
  'link-done': LinkDonePage
  'sign-out': SignOutPage
  'signed-out': SignedOutPage
  error: ErrorPage
  'leave-to-app': LeaveToAppPage
  'form-post': FormPostPage
  'first-admin': FirstAdminPage
  'first-admin-invalid': FirstAdminInvalidPage
  account: AccountPage
  'account-session': AccountSessionPage
  'account-session-end': AccountSessionEndPage
  'account-password': AccountPasswordPage
  'account-cross-signing-reset': AccountCrossSigningResetPage
  reauthenticate: ReauthenticatePage
  busy: BusyPage
  /** Every part once, for development and tests only. */
  _parts: Record<string, never>
}

export type PageName = keyof PageData
