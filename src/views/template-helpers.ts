import type { Message, Translate } from './messages.ts'
import type { ClientSummary, FormErrors, Words } from './page-data.ts'
import { cleanText } from './untrusted-text.ts'

export interface ErrorLine {
  /** The field to go to. */
  field: string
  message: Message
}

/** The lines of an error summary; what belongs to no field leads to `first`, where the person starts again. */
export function errorLines(errors: FormErrors | null | undefined, first: string): ErrorLine[] {
  return Object.entries(errors ?? {}).map(([field, message]) => ({
    field: field === 'form' ? first : field,
    message,
  }))
}

/**
 * What to call an app. A name that the app gave itself never stands alone: where only one line is to be had, an
 * unverified app goes by its host.
 */
export function appName(client: ClientSummary, t: Translate): string {
  const place = client.host || client.redirectHost || client.redirectScheme
  const chosen = client.verified ? client.name || place : place || client.name
  return (chosen && cleanText(chosen)) || t('app.unnamed')
}

/** A catalogue text, or words from elsewhere without what deceives the eye. */
export function words(value: Words, t: Translate): string {
  return typeof value === 'object' && 'text' in value ? cleanText(value.text) : t(value)
}
