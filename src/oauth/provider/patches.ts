import { timingSafeEqual } from 'node:crypto'
import type { JWK } from 'jose'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import renderJwks from 'oidc-provider/lib/actions/jwks.js'
import initializeKeystore from 'oidc-provider/lib/helpers/initialize_keystore.js'
import { hashSecret } from '../../tokens/format.ts'
import { redirectUriMatches } from '../redirect-uris.ts'
import { API_SCOPE, DEVICE_SCOPE_PREFIX, isIgnoredScope, UNSTABLE_DEVICE_SCOPE_PREFIX } from '../scopes.ts'

/** Who is signed in, as the library needs to know it. */
export interface SignedIn {
  /** the browser session's ID */
  id: string
  accountId: string
  /** seconds since the epoch */
  authenticatedAt: number
}

/** The parts of the library's classes that are changed here; its own types leave them out. */
interface LibrarySession {
  jti: string
  uid: string
  accountId?: string
  loginTs?: number
  destroyed?: boolean
  exp?: number
}
interface SessionClass {
  instantiate(payload?: object): LibrarySession
  get(ctx: Context): Promise<LibrarySession>
  findByUid(uid: string): Promise<LibrarySession | undefined>
  prototype: {
    save(): Promise<string>
    destroy(): Promise<void>
    resetIdentifier(): void
    persist(): Promise<void>
  }
}
interface LibraryContext {
  params: { scope?: string }
  issuer: string
  /** The library's name of the endpoint; none at ours. */
  route: string | undefined
  urlFor(name: string): string
}
interface Patched {
  Session: SessionClass
  OIDCContext: { prototype: LibraryContext }
  Client: {
    prototype: {
      clientSecret?: string
      redirectUris: string[]
      postLogoutRedirectUris: string[]
    }
  }
}

export class LibraryPatchError extends Error {}

/**
 * The only place that changes oidc-provider's behaviour beyond its configuration. Each change has its reason, and
 * `selfTest` fails at start when an update of the library breaks one.
 */
export function patchProvider(
  provider: Provider,
  signedIn: (ctx: Context) => Promise<SignedIn | undefined>,
): void {
  const library = provider as unknown as Patched

  // The library knows a fixed set of scopes and drops others silently; a device scope carries the device's ID.
  // Which scopes a client or user may have is decided in scope-policy.ts. Ignored ones are never granted, so the
  // library must not wait for a consent that covers them.
  Object.defineProperty(library.OIDCContext.prototype, 'requestParamOIDCScopes', {
    configurable: true,
    get(this: Patched['OIDCContext']['prototype']) {
      return new Set(this.params.scope?.split(' ').filter((name) => !isIgnoredScope(name)))
    },
  })

  // An assertion may be made out to the endpoint that it is sent to (RFC 9126 §2), which at our own endpoints has no
  // name that the library knows. The issuer and the token endpoint are always right (RFC 7523 §3).
  Object.defineProperty(library.OIDCContext.prototype, 'clientJwtAuthExpectedAudience', {
    configurable: true,
    value(this: LibraryContext) {
      const named = this.route === undefined ? [] : [this.urlFor(this.route)]
      return new Set([this.issuer, this.urlFor('token'), ...named])
    },
  })

  // Only the SHA-256 of a client secret is stored, and the adapter hands it on in hexadecimal.
  Object.defineProperty(library.Client.prototype, 'compareClientSecret', {
    configurable: true,
    value(this: Patched['Client']['prototype'], actual: string) {
      const stored = Buffer.from(this.clientSecret ?? '', 'hex')
      return stored.length === 32 && timingSafeEqual(stored, hashSecret(actual))
    },
  })

  // One rule for redirect URIs, at registration and here: exact, but for the port of a loopback address.
  Object.defineProperty(library.Client.prototype, 'redirectUriAllowed', {
    configurable: true,
    value(this: Patched['Client']['prototype'], value: string) {
      return redirectUriMatches(this.redirectUris, value)
    },
  })

  patchSession(library.Session, signedIn)
}

/**
 * Browser sessions are ours: one cookie, one row, shared by account pages and OAuth flows. The library gets a view
 * of the browser session that is made for the request, and whatever it does to that view is not kept.
 */
function patchSession(
  Session: SessionClass,
  signedIn: (ctx: Context) => Promise<SignedIn | undefined>,
): void {
  const none = async () => {}
  Session.get = async (ctx) => {
    const found = await signedIn(ctx)
    const session = Session.instantiate(
      found && {
        jti: found.id,
        uid: found.id,
        accountId: found.accountId,
        loginTs: found.authenticatedAt,
        exp: Number.MAX_SAFE_INTEGER,
      },
    )
    // Marked so that the library neither writes its own session cookie nor saves the view.
    Object.defineProperty(session, 'destroyed', { value: true })
    return session
  }
  Session.findByUid = async () => undefined
  Session.prototype.save = async () => ''
  Session.prototype.persist = none
  Session.prototype.destroy = none
  Session.prototype.resetIdentifier = () => {}
}

/**
 * Puts other keys in place of those that the provider signs with and publishes, without a restart: the library has no
 * way of its own, but reads them from one place at each use. What is being signed meanwhile keeps its key.
 */
export function replaceSigningKeys(provider: Provider, keys: JWK[]): void {
  initializeKeystore.call(provider, { keys })
}

/** Tries each patch once. Throws LibraryPatchError when the library no longer behaves as the patches expect. */
export async function selfTest(provider: Provider, keys: JWK[]): Promise<void> {
  const library = provider as unknown as {
    OIDCContext: new (ctx: object) => { params: object; requestParamOIDCScopes: Set<string> }
    Client: new (
      metadata: object,
    ) => { compareClientSecret(secret: string): boolean; redirectUriAllowed(uri: string): boolean }
  }
  const device = `${DEVICE_SCOPE_PREFIX}AAAAAAAAAA`
  const oidc = new library.OIDCContext({ req: {}, _matchedRouteName: 'authorization' })
  oidc.params = { scope: `openid ${API_SCOPE} ${device} ${UNSTABLE_DEVICE_SCOPE_PREFIX}AAAAAAAAAA` }
  if (!oidc.requestParamOIDCScopes.has(device)) throw new LibraryPatchError('Device scopes are dropped')

  const client = new library.Client({
    client_id: 'self-test',
    client_secret: hashSecret('secret').toString('hex'),
    redirect_uris: ['http://127.0.0.1/callback'],
    application_type: 'native',
    token_endpoint_auth_method: 'client_secret_basic',
  })
  if (!client.compareClientSecret('secret') || client.compareClientSecret('Secret')) {
    throw new LibraryPatchError('Client secrets are not compared by their hash')
  }
  if (
    !client.redirectUriAllowed('http://127.0.0.1:4711/callback') ||
    client.redirectUriAllowed('http://127.0.0.1/')
  ) {
    throw new LibraryPatchError('Redirect URIs are not matched by our rule')
  }

  replaceSigningKeys(provider, keys.slice(0, 1))
  const one = publishedKeys(provider)
  replaceSigningKeys(provider, keys)
  if (one.length !== 1 || publishedKeys(provider).length !== keys.length)
    throw new LibraryPatchError('Signing keys cannot be replaced')
}

function publishedKeys(provider: Provider): unknown[] {
  const ctx: Parameters<typeof renderJwks>[0] = { oidc: { provider } }
  renderJwks(ctx)
  return ctx.body?.keys ?? []
}
