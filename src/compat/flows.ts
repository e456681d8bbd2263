/** The one entry of `identity_providers`: this service. Some apps expect a list and show a button for each. */
const PROVIDER_ID = 'postern'

/**
 * The answer of `GET /login`. Apps that know OAuth are told to use it where they find `oauth_aware_preferred`
 * (MSC3824); the others see single sign-on, which is our page in the browser.
 */
export function loginFlows({
  passwords,
  serviceName,
  appservices,
}: {
  passwords: boolean
  serviceName: string
  appservices: boolean
}): { flows: Record<string, unknown>[] } {
  return {
    flows: [
      ...(passwords ? [{ type: 'm.login.password' }] : []),
      {
        type: 'm.login.sso',
        oauth_aware_preferred: true,
        'org.matrix.msc3824.delegated_oidc_compatibility': true,
        identity_providers: [{ id: PROVIDER_ID, name: serviceName }],
      },
      { type: 'm.login.token' },
      ...(appservices ? [{ type: 'm.login.application_service' }] : []),
    ],
  }
}
