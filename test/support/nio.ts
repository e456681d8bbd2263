import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { synapsePython } from './synapse-python.ts'

const SCRIPT = fileURLToPath(new URL('../synapse/nio_session.py', import.meta.url))

/** A matrix-nio client in a process of its own. */
export interface Nio {
  /** Does one thing and tells what came of it. @throws Error with what Python said, when it fell over */
  ask(command: string, args?: Record<string, unknown>): Promise<Record<string, unknown>>
  close(): Promise<void>
}

export async function startNio(homeserver: string, user: string): Promise<Nio> {
  const child = spawn(await synapsePython(), [SCRIPT, homeserver, user])
  const exit = once(child, 'exit')
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(command, args = {}) {
      child.stdin.write(`${JSON.stringify([command, args])}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error(`nio fell over:\n${errors}`)
      return JSON.parse(value) as Record<string, unknown>
    },
    async close() {
      child.stdin.end()
      await exit
    },
  }
}
