import { PosternError } from '../errors.ts'
import { createHomeserver } from '../homeserver/client.ts'
import { type DoctorDeps, type Finding, look, ok, problem, skipped } from './finding.ts'

/** Nobody has this name, and nobody can: it is only asked whether the secret opens the door. */
const NOBODY = 'postern-doctor-asks-only'

/** The homeserver in both directions: our secret opens its inner API, and its clients are sent to us. */
export async function checkHomeserver({ config, fetch }: DoctorDeps): Promise<Finding[]> {
  const { endpoint, secret, request_timeout: timeoutSeconds } = config.matrix
  if (!endpoint || !secret)
    return [skipped('homeserver', 'none is configured (matrix.endpoint and matrix.secret)')]
  const findings: Finding[] = []
  try {
    await createHomeserver({ endpoint, secret, timeoutSeconds }).queryUser(NOBODY)
    findings.push(ok('homeserver', `${endpoint} takes our secret`))
  } catch (error) {
    const todo = 'See the message, and docs/install.md for the homeserver.yaml that belongs to it'
    const said = error instanceof PosternError ? (error.detail ?? error.message) : (error as Error).message
    findings.push(problem('homeserver', said, todo))
  }
  return [...findings, await pointsToUs({ endpoint, fetch, issuer: config.http.public_url })]
}

async function pointsToUs({
  endpoint,
  fetch,
  issuer,
}: {
  endpoint: string
  fetch: DoctorDeps['fetch']
  issuer: string
}): Promise<Finding> {
  const url = new URL('_matrix/client/v1/auth_metadata', endpoint).href
  const answer = await look(fetch, url)
  if ('failed' in answer)
    return problem(
      'homeserver',
      `${url} cannot be reached: ${answer.failed}`,
      'Start Synapse, and check matrix.endpoint',
    )
  if (answer.status === 404)
    return problem(
      'homeserver',
      'the homeserver keeps its own login',
      'Set matrix_authentication_service.enabled in homeserver.yaml, and restart Synapse',
    )
  if (answer.status !== 200)
    return problem(
      'homeserver',
      `the homeserver cannot ask us who we are (${answer.status} at ${url})`,
      'Set matrix_authentication_service.endpoint in homeserver.yaml to where Synapse reaches Postern, leave force_http2 out, and see its log',
    )
  if (answer.json.issuer !== issuer)
    return problem(
      'homeserver',
      `the homeserver sends apps to ${String(answer.json.issuer)} instead of ${issuer}`,
      'Set matrix_authentication_service.endpoint in homeserver.yaml to this service, and restart Synapse',
    )
  return ok('homeserver', `${endpoint} sends apps to ${issuer}`)
}
