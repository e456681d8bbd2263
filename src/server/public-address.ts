/** The service's address as the configuration names it: nothing in a request changes it (invariant 10). */
export interface PublicAddress {
  /** Exactly as configured: the issuer. */
  issuer: string
  origin: string
  host: string
  secure: boolean
  /** The path that everything hangs below, with a slash at both ends. */
  basePath: string
  /** The full address of one of our paths, given without a leading slash. */
  url(path: string): string
}

/** Reads the public address of the configuration, which ends with a slash. */
export function publicAddress(publicUrl: string): PublicAddress {
  const { origin, host, protocol, pathname } = new URL(publicUrl)
  return {
    issuer: publicUrl,
    origin,
    host,
    secure: protocol === 'https:',
    basePath: pathname,
    url: (path) => `${publicUrl}${path}`,
  }
}
