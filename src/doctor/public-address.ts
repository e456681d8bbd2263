import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type DoctorDeps, type Finding, look, ok, problem } from './finding.ts'

/** Whether the public address leads here: its name resolves, and what answers has our issuer. */
export async function checkPublicAddress({ config, fetch }: DoctorDeps): Promise<Finding[]> {
  const issuer = config.http.public_url
  const { hostname } = new URL(issuer)
  const host = hostname.replace(/^\[|\]$/g, '')
  const findings: Finding[] = []
  if (isIP(host) === 0) {
    const addresses = await lookup(host, { all: true }).catch(() => [])
    if (addresses.length === 0)
      return [
        problem(
          'public address',
          `${host} does not resolve`,
          `Make a DNS record for ${host}, or correct http.public_url`,
        ),
      ]
    findings.push(ok('public address', `${host} is ${addresses.map(({ address }) => address).join(', ')}`))
  }
  const url = `${issuer}.well-known/openid-configuration`
  const answer = await look(fetch, url)
  if ('failed' in answer)
    return [
      ...findings,
      problem(
        'public address',
        `${url} cannot be reached: ${answer.failed}`,
        'Start the server, and let the reverse proxy pass this address on to one of http.listeners',
      ),
    ]
  if (answer.status !== 200 || answer.json.issuer !== issuer) {
    const said =
      answer.status === 200 ? `the issuer ${String(answer.json.issuer)}` : `status ${answer.status}`
    return [
      ...findings,
      problem(
        'public address',
        `${url} answers with ${said} instead of the issuer ${issuer}`,
        'Let the reverse proxy pass this host (and path) on to Postern unchanged, and restart Postern after a change of http.public_url',
      ),
    ]
  }
  return [...findings, ok('public address', `${issuer} is this service`)]
}
