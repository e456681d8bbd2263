import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url))

/**
 * The Python that has Synapse: POSTERN_SYNAPSE_PYTHON, or that of the virtual environment in .cache/synapse, which
 * is made on first use (about a minute; it needs python3 with venv, and the network).
 */
export async function synapsePython(): Promise<string> {
  const given = process.env.POSTERN_SYNAPSE_PYTHON
  if (given) return given
  const python = path('.cache/synapse/bin/python')
  const exists = await access(python).then(
    () => true,
    () => false,
  )
  if (!exists) {
    await run('python3', ['-m', 'venv', path('.cache/synapse')])
    await run(python, ['-m', 'pip', 'install', '--quiet', '-r', path('test/synapse/requirements.txt')])
  }
  return python
}
