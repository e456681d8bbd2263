import type { Config } from '../config/index.ts'

/** What one look at one thing came to. */
export interface Finding {
  /** What was looked at, such as `tls`. */
  check: string
  state: 'ok' | 'problem' | 'skipped'
  /** What is so, in one sentence. */
  what: string
  /** What to do about a problem. */
  todo?: string
}

/** How a check sees the world; the tests have one of their own. */
export interface DoctorDeps {
  config: Config
  fetch: typeof globalThis.fetch
  now: () => Date
}

const PATIENCE_MS = 10_000

export const ok = (check: string, what: string): Finding => ({ check, state: 'ok', what })
export const skipped = (check: string, what: string): Finding => ({ check, state: 'skipped', what })
export const problem = (check: string, what: string, todo: string): Finding => ({
  check,
  state: 'problem',
  what,
  todo,
})

/** An answer, or why there was none. */
export interface Looked {
  status: number
  /** The body where it is a JSON object, else empty. */
  json: Record<string, unknown>
  headers: Headers
}

/** Asks an address for JSON, without following where it sends others. Gives the reason where nobody answers. */
export async function look(
  fetch: DoctorDeps['fetch'],
  url: string,
  init: RequestInit = {},
): Promise<Looked | { failed: string }> {
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      ...init,
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, json: objectIn(text) }
  } catch (error) {
    return { failed: reasonOf(error) }
  }
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** `fetch` itself says only "fetch failed"; what happened stands in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0])
  if (cause instanceof Error) return cause.message
  return error.name === 'TimeoutError' ? `no answer within ${PATIENCE_MS / 1000} seconds` : error.message
}
