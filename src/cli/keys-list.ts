import { basename } from 'node:path'
import type { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { readSigningKeys, stagesAt } from '../keys/index.ts'
import type { Context } from './context.ts'

export function addKeysList(parent: Command, { terminal, config }: Context): void {
  parent
    .command('list')
    .description('list the signing keys with their stages: announced, signing, retired, expired')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const files = await readSigningKeys((await config()).secrets.keys_folder)
      const keys = stagesAt(files, systemClock.now()).map(({ path, key: { kid, alg }, stage, until }) => ({
        kid,
        alg,
        file: basename(path),
        stage,
        until: until?.toISOString() ?? null,
      }))
      if (keys.length === 0)
        terminal.note('There are no signing keys yet: the first start of the server makes them.')
      if (json) terminal.print(JSON.stringify(keys, null, 2))
      else
        for (const { kid, alg, file, stage, until } of keys)
          terminal.print(`${kid} ${alg} ${file} ${stage}${until ? ` until ${until}` : ''}`)
    })
}
