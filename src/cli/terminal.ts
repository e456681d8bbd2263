import { text } from 'node:stream/consumers'
import type { ReadStream } from 'node:tty'
import { PosternError } from '../errors.ts'

/** What commands know of the world: where they write, what they are asked with, and the environment. */
export interface Terminal {
  env: NodeJS.ProcessEnv
  cwd: string
  /** One line of output. */
  print(line: string): void
  /** One line for the person who watches, not part of the output. */
  note(line: string): void
  /** Writes where a line can be drawn over again; absent where nobody watches. */
  draw?(text: string): void
  /** Asks for a secret without showing what is typed. */
  askSecret(question: string): Promise<string>
  /** Everything on standard input. */
  readInput(): Promise<string>
}

export function systemTerminal(): Terminal {
  return {
    env: process.env,
    cwd: process.cwd(),
    print: (line) => void process.stdout.write(`${harmless(line)}\n`),
    note: (line) => void process.stderr.write(`${harmless(line)}\n`),
    ...(process.stderr.isTTY ? { draw: (text: string) => void process.stderr.write(text) } : {}),
    askSecret,
    readInput: () => text(process.stdin),
  }
}

/** Strangers choose names that end up here: control and direction characters must not steer the terminal. */
function harmless(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}|[\u202a-\u202e\u2066-\u2069]/gu, '\ufffd')
}

async function askSecret(question: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) {
    const message =
      'There is no terminal to ask for the password: give it on standard input with --password-stdin'
    throw new PosternError('no_terminal', message)
  }
  // Before the question: what is typed as soon as it appears must not be shown either.
  stdin.setRawMode(true)
  stderr.write(question)
  stdin.setEncoding('utf8')
  try {
    return await readHiddenLine(stdin)
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

function readHiddenLine(stdin: ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = ''
    const done = (finish: () => void) => {
      stdin.off('data', onData)
      finish()
    }
    const onData = (chunk: string | Buffer) => {
      for (const key of String(chunk)) {
        if (key === '\r' || key === '\n') return done(() => resolve(typed))
        // Ctrl-C and Ctrl-D
        if (key === '\x03' || key === '\x04')
          return done(() => reject(new PosternError('cancelled', 'Nothing was changed')))
        // Backspace, of either kind
        if (key === '\x7f' || key === '\b') typed = [...typed].slice(0, -1).join('')
        else typed += key
      }
    }
    stdin.on('data', onData)
    stdin.resume()
  })
}
