import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { synapsePython } from '../synapse-python.ts'
import type { OldWorld } from './old-world.ts'

const run = promisify(execFile)

/** Runs blocks of the guide, one after the other. Gives what they printed; throws where one ends badly. */
export async function follow({ machine }: OldWorld, blocks: readonly string[]): Promise<string> {
  const printed: string[] = []
  for (const block of blocks) {
    const { code, out, err } = await machine.run(block)
    if (code !== 0) throw new Error(`${block}\nends with ${code}:\n${out}\n${err}`)
    printed.push(out)
  }
  return printed.join('')
}

/** What the operator changes by hand: where the test runs, Postern's usual port may be taken. */
export async function changeEndpoint({ opt, posternPort }: OldWorld): Promise<void> {
  const file = join(opt, 'switch/homeserver.yaml')
  const text = await readFile(file, 'utf8')
  if (!text.includes('localhost:8080'))
    throw new Error('homeserver.yaml does not name Postern’s usual address')
  await writeFile(file, text.replaceAll('localhost:8080', `127.0.0.1:${posternPort}`))
}

/** What Synapse's own reader takes from its files once the new ones lie over them. Throws where it refuses. */
export async function readBySynapse({ synapse, opt }: OldWorld): Promise<string> {
  const script = `
import sys
from synapse.config.homeserver import HomeServerConfig
config = HomeServerConfig.load_config("Synapse", sys.argv[1:])
print(config.server.server_name, config.mas.enabled, config.mas.endpoint)`
  const together = await mkdtemp(join(dirname(opt), 'together-'))
  for (const folder of [synapse.etc, join(opt, 'switch')]) await cp(folder, together, { recursive: true })
  const args = ['-c', script, '-c', join(together, 'homeserver.yaml'), '-c', join(together, 'conf.d')]
  const { stdout } = await run(await synapsePython(), args, { cwd: synapse.data })
  // Of a file in which everything became a comment it says that it ignores it.
  return stdout.trim().split('\n').at(-1) ?? ''
}
