import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Context } from 'koa'
import { PosternError } from '../errors.ts'
import type { PublicAddress } from './public-address.ts'

/** A form that was not ours, or is too old to tell. */
export class CsrfError extends PosternError {
  constructor(detail: string) {
    super('form_expired', 'This form has expired. Go back, reload the page and try again', {
      status: 403,
      detail,
    })
  }
}

/** What a form's token is bound to besides the browser. */
const ANONYMOUS = '0'
const BOUND = '1'

export interface VerifiedForm {
  /** The same each time this very form is posted, and known to nobody else. */
  formId: string
  /** Whether the form was shown to someone who was not signed in. */
  anonymous: boolean
}

const COOKIE_MAX_AGE_MS = 24 * 3600 * 1000
const SHAPE = /^[\w-]{43}$/

/**
 * Protection against forged forms, the sign-in form included (ASVS 5.0 V3.5.1, check 63): a token bound to a cookie
 * of this browser and to who is signed in, and, where the browser says so, where the form came from.
 */
export function createCsrf({
  key,
  address,
  cookieName,
}: {
  key: Buffer
  address: PublicAddress
  cookieName: string
}) {
  const cookieOptions = {
    httpOnly: true,
    sameSite: 'lax',
    secure: address.secure,
    signed: false,
    overwrite: true,
  } as const

  function browserSecret(ctx: Context): string | undefined {
    const value = ctx.cookies.get(cookieName, { signed: false })
    return value && SHAPE.test(value) ? value : undefined
  }

  function mac(nonce: string, secret: string, signedInAs: string): string {
    return createHmac('sha256', key).update(`${nonce}\0${secret}\0${signedInAs}`).digest('base64url')
  }

  /** A token for a form on this page; sets the browser's cookie where it has none. */
  function token(ctx: Context, signedInAs: string): string {
    let secret: string | undefined = ctx.state.csrfSecret ?? browserSecret(ctx)
    if (!secret) {
      secret = randomBytes(32).toString('base64url')
      ctx.cookies.set(cookieName, secret, { ...cookieOptions, maxAge: COOKIE_MAX_AGE_MS })
    }
    ctx.state.csrfSecret = secret
    const nonce = randomBytes(16).toString('base64url')
    return `${signedInAs === '' ? ANONYMOUS : BOUND}.${nonce}.${mac(nonce, secret, signedInAs)}`
  }

  /**
   * Checks a posted form.
   * @throws CsrfError
   */
  function verify(ctx: Context, presented: string | undefined, signedInAs: string): VerifiedForm {
    const site = ctx.get('Sec-Fetch-Site')
    if (site && site !== 'same-origin' && site !== 'none') throw new CsrfError(`posted from ${site}`)
    const origin = ctx.get('Origin')
    if (origin && origin !== address.origin) throw new CsrfError('posted from another origin')
    const secret = browserSecret(ctx)
    const [kind, nonce, given] = (presented ?? '').split('.')
    if (!secret || !kind || !nonce || !given) throw new CsrfError('no token')
    const anonymous = kind === ANONYMOUS
    const expected = Buffer.from(mac(nonce, secret, anonymous ? '' : signedInAs))
    const actual = Buffer.from(given)
    if (expected.length !== actual.length || !timingSafeEqual(expected, actual))
      throw new CsrfError('wrong token')
    const formId = createHmac('sha256', key).update(`form\0${nonce}\0${secret}`).digest('base64url')
    return { formId, anonymous }
  }

  return { token, verify }
}

export type Csrf = ReturnType<typeof createCsrf>
