import { InvalidFormError, parseForm } from './form.ts'

const ISSUER_REL = 'http://openid.net/specs/connect/1.0/issuer'

/** An answer of type `application/jrd+json`, or an error's JSON. */
export interface WebFingerAnswer {
  status: 200 | 400 | 404
  body: object
}

/**
 * Answers a WebFinger query (RFC 7033; OpenID Connect Discovery §2) with the issuer. Any name at our host is
 * answered alike, so that it tells nobody which users exist.
 * @param query the raw query string, without the question mark
 */
export function webFinger(
  query: string,
  { issuer, serverName }: { issuer: string; serverName: string },
): WebFingerAnswer {
  let resource: string | undefined
  let rels: string[]
  try {
    const { values, duplicates } = parseForm(query)
    if (duplicates.includes('resource')) return badRequest('resource must be given once')
    resource = values.get('resource')
    // `rel` is the one parameter that may come several times (RFC 7033 §4.3)
    rels = new URLSearchParams(query).getAll('rel')
  } catch (error) {
    if (error instanceof InvalidFormError) return badRequest(error.message)
    throw error
  }
  const host = resource === undefined ? undefined : hostOf(resource)
  if (resource === undefined || host === undefined) {
    return badRequest('resource must be an acct:, mailto: or https: URI')
  }
  const ours = [serverName, serverName.replace(/:\d+$/, ''), new URL(issuer).host]
  if (!ours.some((name) => name.toLowerCase() === host)) {
    return {
      status: 404,
      body: { error: 'not_found', error_description: 'this server knows no such resource' },
    }
  }
  const links = rels.length === 0 || rels.includes(ISSUER_REL) ? [{ rel: ISSUER_REL, href: issuer }] : []
  return { status: 200, body: { subject: resource, links } }
}

function hostOf(resource: string): string | undefined {
  const account = /^(?:acct|mailto):[^@\s/]+@([^@\s/]+)$/i.exec(resource)
  if (account) return account[1]?.toLowerCase()
  const parsed = URL.parse(resource)
  return parsed?.protocol === 'https:' || parsed?.protocol === 'http:' ? parsed.host : undefined
}

function badRequest(description: string): WebFingerAnswer {
  return { status: 400, body: { error: 'invalid_request', error_description: description } }
}
