import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { pinned } from './pinning.ts'

/** A process that the benchmark started, and ends. */
export interface Running {
  pid: number
  /** The first line that it printed. */
  firstLine: Promise<string>
  /** What it printed last, once it has ended. */
  ended: Promise<string>
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>
}

const STOP_LIMIT_MS = 40_000

/** Runs a script with this Node.js on one core. */
export function run(core: number, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Running {
  const [program, ...rest] = pinned(core, [process.execPath, ...args])
  const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.pid === undefined) throw new Error(`${program} does not start`)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      said = (said + chunk).slice(-4000)
    })
  }
  const ended = once(child, 'exit').then(() => said)
  const firstLine = lineOf(child)
  // Whoever waits for the line hears of a failure; nobody has to.
  firstLine.catch(() => undefined)
  return {
    pid: child.pid,
    firstLine,
    ended,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      const kill = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
      await ended
      clearTimeout(kill)
    },
  }
}

function lineOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk: string) => {
      text += text.includes('\n') ? '' : chunk
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
    })
    child.on('exit', (code) => reject(new Error(`The process ended with code ${code}`)))
  })
}
