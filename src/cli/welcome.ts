import type { Config } from '../config/index.ts'
import type { Terminal } from './terminal.ts'

/**
 * What whoever starts the server should know: where it is, what is still missing, and the link on which the first
 * administrator's account is made. On standard error, beside the log: the link is a secret.
 * @param setupPath the path of that link, below the public address; undefined where there is an administrator
 */
export function welcome(
  { http, matrix }: Config,
  { listening, setupPath }: { listening: readonly string[]; setupPath: string | undefined },
  { note }: Pick<Terminal, 'note'>,
): void {
  note(`Postern is ready at ${http.public_url} (listening on ${listening.join(', ')}).`)
  if (matrix.endpoint === undefined)
    note(
      `There is no homeserver: users are of the server name ${matrix.server_name}. To change that: postern config generate --synapse homeserver.yaml --output postern.yaml, or set matrix.server_name, matrix.endpoint and matrix.secret.`,
    )
  else note(`The homeserver is ${matrix.server_name} at ${matrix.endpoint}.`)
  if (setupPath === undefined) return
  note('There is no administrator yet. This link makes the first one, once, within the next hour:')
  note(`  ${new URL(setupPath.replace(/^\//, ''), http.public_url)}`)
}
