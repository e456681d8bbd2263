import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/cli/program.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** What a command said, and its exit code. */
export interface CommandResult {
  code: number
  out: string
  err: string
}

export interface CommandOptions {
  cwd: string
  env?: NodeJS.ProcessEnv
  /** What it reads on standard input. */
  input?: string
}

/** Runs a command in this process. */
export async function runCommand(
  args: string[],
  { cwd, env = {}, input = '' }: CommandOptions,
): Promise<CommandResult> {
  const out: string[] = []
  const err: string[] = []
  const code = await run(args, {
    env,
    cwd,
    print: (line) => out.push(line),
    note: (line) => err.push(line),
    askSecret: async () => input,
    readInput: async () => input,
  })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

/** Runs a command as it is run in earnest: a process of its own. */
export async function spawnCommand(
  args: string[],
  { cwd, env = {}, input = '' }: CommandOptions,
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { PATH: process.env.PATH, ...env } })
  child.stdin.end(input)
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: code as number, out: out.trimEnd(), err: err.trimEnd() }
}
