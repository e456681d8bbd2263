/** The versions of the client API whose sign-in is served. */
export const VERSIONS = ['r0', 'v1', 'v3', 'api/v1', 'unstable']

/** A request below `/_matrix/client/{version}`, and who is to get it where it carries a person's token or none. */
export type Row = [method: string, path: string, goesTo: string]

export const LOGIN_ROUTES: Row[] = [
  ['GET', '/login', 'postern'],
  ['POST', '/login', 'postern'],
  ['OPTIONS', '/login', 'postern'],
  ['GET', '/login/sso/redirect?redirectUrl=https%3A%2F%2Fapp.example%2F', 'postern'],
  ['GET', '/login/sso/redirect/?redirectUrl=x', 'postern'],
  ['GET', '/login/sso/redirect/oidc-postern?redirectUrl=x', 'postern'],
  ['OPTIONS', '/login/sso/redirect', 'postern'],
  ['POST', '/logout', 'postern'],
  ['OPTIONS', '/logout', 'postern'],
  ['POST', '/logout/all', 'postern'],
  ['OPTIONS', '/logout/all', 'postern'],
  ['POST', '/refresh', 'postern'],
  ['OPTIONS', '/refresh', 'postern'],
]
export const ACCOUNT_ROUTES: Row[] = [
  ['POST', '/delete_devices', 'postern'],
  ['POST', '/account/password', 'postern'],
  ['POST', '/account/deactivate', 'postern'],
  ['DELETE', '/devices/ABCDEFGHIJ', 'postern'],
  ['DELETE', '/devices/odd%2Fname%20%25', 'postern'],
]
export const NEIGHBOURS: Row[] = [
  ['POST', '/login/get_token', 'synapse'],
  ['GET', '/login/cas/ticket', 'synapse'],
  ['GET', '/login/sso/redirects', 'synapse'],
  ['PUT', '/login', 'synapse'],
  ['POST', '/login/', 'synapse'],
  ['GET', '/logout', 'synapse'],
  ['GET', '/refresh', 'synapse'],
  ['POST', '/logout/all/more', 'synapse'],
  ['GET', '/devices', 'synapse'],
  ['GET', '/devices/ABCDEFGHIJ', 'synapse'],
  ['PUT', '/devices/ABCDEFGHIJ', 'synapse'],
  ['OPTIONS', '/devices/ABCDEFGHIJ', 'synapse'],
  ['DELETE', '/devices', 'synapse'],
  ['GET', '/delete_devices', 'synapse'],
  ['OPTIONS', '/delete_devices', 'synapse'],
  ['POST', '/account/password/email/requestToken', 'synapse'],
  ['GET', '/account/whoami', 'synapse'],
  ['POST', '/account/3pid', 'synapse'],
  ['POST', '/register', 'synapse'],
  ['POST', '/keys/device_signing/upload', 'synapse'],
  ['PUT', '/rooms/%21room%3Aexample.org/state/m.room.topic/login', 'synapse'],
  ['PUT', '/rooms/%21r/state/x/devices/login', 'synapse'],
  ['GET', '/sync?timeout=30000', 'synapse'],
  ['POST', '/user/@a:b/openid/request_token', 'synapse'],
]

/** What is Synapse's own business, spelled so that a tidied-up address looks public. */
export const INSIDE = ['/_synapse/mas/query_user', '/_synapse/admin/v1/rooms'].flatMap((path) =>
  ['/..', '/%2e%2e', '%2F..', '/.%2E'].flatMap((up) => {
    const root = up.repeat(path.split('/').length - 1)
    return [`${path}${root}/_matrix/x`, `${path}${root}/_synapse/client/x`, `/${path}`, `/_matrix/..${path}`]
  }),
)
