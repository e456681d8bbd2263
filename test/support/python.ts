import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { synapsePython } from './synapse-python.ts'

/** A Python program that reads a JSON command a line and answers each with a line of JSON. */
export interface PythonDriver {
  /** Does one thing and tells what came of it. @throws Error with what Python said, when it fell over */
  ask(command: string, args?: Record<string, unknown>): Promise<Record<string, unknown>>
  close(): Promise<void>
}

/** Starts one of the programs in test/synapse. */
export async function startPython(
  script: string,
  args: string[],
  { cwd }: { cwd?: string } = {},
): Promise<PythonDriver> {
  const file = fileURLToPath(new URL(`../synapse/${script}`, import.meta.url))
  const child = spawn(await synapsePython(), [file, ...args], { cwd })
  const exit = once(child, 'exit')
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(command, given = {}) {
      child.stdin.write(`${JSON.stringify([command, given])}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error(`${script} fell over:\n${errors}`)
      return JSON.parse(value) as Record<string, unknown>
    },
    async close() {
      process.off('exit', killWithUs)
      child.stdin.end()
      await exit
    },
  }
}
