import { BrandingError } from '../branding/error.ts'
import { ConfigError } from '../config/error.ts'
import { PosternError } from '../errors.ts'
import { PolicyError } from '../policy/error.ts'
import type { Terminal } from './terminal.ts'

/** Says what went wrong: every problem of an error that lists them, one line for everything else, never a stack trace. */
export function reportError(error: unknown, terminal: Terminal): void {
  if (isList(error)) for (const problem of error.problems) terminal.note(problem)
  else terminal.note(messageOf(error))
}

const isList = (error: unknown) =>
  error instanceof ConfigError || error instanceof PolicyError || error instanceof BrandingError

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // What a failed connection throws has its words in `errors` only.
  const text = error.message || (error instanceof AggregateError ? messageOf(error.errors[0]) : error.name)
  if (error instanceof PosternError) return firstLine(error.detail ? `${text} (${error.detail})` : text)
  return `Failed: ${firstLine(text)}`
}

function firstLine(text: string): string {
  return text.split('\n')[0]!
}
