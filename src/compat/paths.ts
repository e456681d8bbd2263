/** What `{version}` may be: Synapse serves the legacy login API under all of these. */
const VERSIONS = ['r0', 'v1', 'v3', 'api/v1', 'unstable']

/** The paths of an endpoint under every version of the client-server API. */
export function clientPaths(endpoint: string): string[] {
  return VERSIONS.map((version) => `/_matrix/client/${version}/${endpoint}`)
}
