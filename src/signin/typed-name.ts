const MAX_LENGTH = 64

/**
 * A typed user name as the audit table keeps it: without characters that could break a line, hide or reorder text
 * (ASVS 5.0, 16.4.1), and cut to 64 characters.
 */
export function cleanForAudit(typed: string): string {
  return [...typed.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')].slice(0, MAX_LENGTH).join('')
}
