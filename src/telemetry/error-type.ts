/** A word of few, as OpenTelemetry's `error.type` wants it; a code that somebody else made up may be anything. */
const CODE = /^[\w.-]{1,40}$/

/** What kind of error it is, for spans: never its message, which may repeat what was typed. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code, cause } = error as Error & { code?: unknown }
  // Ours, SQLSTATE, and the operating system's.
  if (typeof code === 'string' && CODE.test(code)) return code
  // `fetch` itself says only "fetch failed".
  if (error instanceof TypeError && cause instanceof Error) return errorType(cause)
  return CODE.test(error.name) ? error.name : 'Error'
}
