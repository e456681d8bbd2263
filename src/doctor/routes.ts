import { type DoctorDeps, type Finding, look, ok, problem, skipped } from './finding.ts'

const FIX = 'Route it as docs/reverse-proxy.md shows, by method and path'

/**
 * Whether the reverse proxy at the homeserver's public address sends older apps' sign-in here and the rest to the
 * homeserver. What is asked changes nothing: no request carries a token or a password.
 */
export async function checkRoutes({ config, fetch }: DoctorDeps): Promise<Finding[]> {
  if (!config.matrix.endpoint) return [skipped('routes', 'no homeserver is configured')]
  const discovery = `https://${config.matrix.server_name}/.well-known/matrix/client`
  // Apps follow redirects here too (Matrix specification, "Well-known URI").
  const found = await look(fetch, discovery, { redirect: 'follow' })
  const base = 'failed' in found ? undefined : baseOf(found.json)
  if (!base) {
    const why = 'failed' in found ? found.failed : `status ${found.status}, without m.homeserver.base_url`
    return [
      problem(
        'routes',
        `${discovery} does not tell apps where the homeserver is: ${why}`,
        'Serve it as docs/reverse-proxy.md shows',
      ),
    ]
  }
  const at = (path: string) => new URL(path, base.endsWith('/') ? base : `${base}/`).href
  const login = await look(fetch, at('_matrix/client/v3/login'))
  const findings = [
    !('failed' in login) && login.status === 200 && JSON.stringify(login.json).includes('"postern"')
      ? ok('routes', `GET ${at('_matrix/client/v3/login')} comes here`)
      : problem('routes', `GET ${at('_matrix/client/v3/login')} does not come here (${said(login)})`, FIX),
  ]
  for (const name of ['logout', 'refresh']) {
    const url = at(`_matrix/client/v3/${name}`)
    const headers = { 'content-type': 'application/json' }
    const answer = await look(fetch, url, { method: 'POST', body: '{}', headers })
    // Postern misses the token; Synapse, which leaves its sign-in to us, does not know the path.
    const ours = !('failed' in answer) && [400, 401].includes(answer.status)
    findings.push(
      ours
        ? ok('routes', `POST ${url} comes here`)
        : problem('routes', `POST ${url} does not come here (${said(answer)})`, FIX),
    )
  }
  const versions = await look(fetch, at('_matrix/client/versions'))
  const theirs = !('failed' in versions) && Array.isArray(versions.json.versions)
  findings.push(
    theirs
      ? ok('routes', `${at('_matrix/client/versions')} goes to the homeserver`)
      : problem(
          'routes',
          `${at('_matrix/client/versions')} does not reach the homeserver (${said(versions)})`,
          FIX,
        ),
  )
  return findings
}

function baseOf(json: Record<string, unknown>): string | undefined {
  const homeserver = json['m.homeserver']
  const base =
    typeof homeserver === 'object' && homeserver !== null && 'base_url' in homeserver && homeserver.base_url
  return typeof base === 'string' && URL.canParse(base) ? base : undefined
}

function said(answer: Awaited<ReturnType<typeof look>>): string {
  if ('failed' in answer) return answer.failed
  return `${answer.status}${typeof answer.json.errcode === 'string' ? ` ${answer.json.errcode}` : ''}`
}
