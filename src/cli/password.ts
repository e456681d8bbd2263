import { PosternError } from '../errors.ts'
import type { Terminal } from './terminal.ts'

/**
 * A new password: from standard input (without the newline at its end) or asked for twice. Never from the command's
 * arguments, which other users of the machine can see.
 */
export async function readNewPassword(terminal: Terminal, fromInput: boolean): Promise<string> {
  if (fromInput) {
    const password = (await terminal.readInput()).replace(/\r?\n$/, '')
    if (password === '') throw new PosternError('no_password', 'There is no password on standard input')
    return password
  }
  const password = await terminal.askSecret('New password: ')
  if (password !== (await terminal.askSecret('The same again: ')))
    throw new PosternError('no_password', 'The two passwords differ: nothing was changed')
  return password
}
