/** The same server's address with another database. */
export function databaseUri(serverUri: string, database: string): string {
  const uri = new URL(serverUri)
  uri.pathname = `/${database}`
  return uri.href
}
