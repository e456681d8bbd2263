import { PosternError } from '../errors.ts'

const GRAMMAR = /^[a-z0-9._=\-/+]+$/
const MAX_MXID_BYTES = 255

/** Whether `@localpart:server` fits the 255 bytes that Matrix allows (Matrix 1.18, user identifiers). */
function fits(localpart: string, serverName: string): boolean {
  return Buffer.byteLength(`@${localpart}:${serverName}`) <= MAX_MXID_BYTES
}

function refused(message: string): PosternError {
  return new PosternError('invalid_localpart', message)
}

/**
 * Checks the localpart of a new user: the grammar of Matrix 1.18 (user identifiers) and what Synapse refuses on
 * top of it (a leading underscore, digits only). Throws `invalid_localpart` with what to write instead.
 */
export function parseLocalpart(input: string, serverName: string): string {
  if (input === '') throw refused('The user name is empty: give at least one character')
  if (input.startsWith('@') || input.includes(':')) {
    throw refused(`Give the user name alone, without @ and server: alice, not @alice:${serverName}`)
  }
  if (input !== input.toLowerCase()) {
    throw refused('A user name has no capital letters: write it in lower case')
  }
  if (!GRAMMAR.test(input)) {
    throw refused('A user name consists of a-z, 0-9 and the characters . _ = - / +: leave out all others')
  }
  if (input.startsWith('_')) {
    throw refused('A user name does not start with _, which bridges use: start with a letter')
  }
  if (/^\d+$/.test(input)) throw refused('A user name is not a number alone: add a letter')
  if (!fits(input, serverName)) {
    throw refused(
      `A whole user ID (@name:${serverName}) may have ${MAX_MXID_BYTES} bytes at most: choose a shorter name`,
    )
  }
  return input
}

/**
 * What a person typed to sign in: a localpart, or `@localpart:server`. Answers the localpart as it was typed, or
 * undefined where it cannot be a user of this server. Accepts more than `parseLocalpart`, because users that exist
 * already may have older names (Matrix 1.18, historical user IDs).
 */
export function parseUserIdentifier(input: string, serverName: string): string | undefined {
  const typed = input.trim()
  let localpart = typed
  if (typed.startsWith('@')) {
    const colon = typed.indexOf(':')
    if (colon === -1) localpart = typed.slice(1)
    else if (typed.slice(colon + 1).toLowerCase() === serverName.toLowerCase())
      localpart = typed.slice(1, colon)
    else return undefined
  }
  if (localpart === '' || localpart.includes(':') || localpart.includes('\0')) return undefined
  return fits(localpart, serverName) ? localpart : undefined
}
