import { basename } from 'node:path'
import type { Command } from 'commander'
import { readSigningKeys } from '../keys/index.ts'
import type { Context } from './context.ts'

export function addKeysList(parent: Command, { terminal, config }: Context): void {
  parent
    .command('list')
    .description('list the signing keys: the first of each algorithm signs, all are published')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const files = await readSigningKeys((await config()).secrets.keys_folder)
      const keys = files.map(({ path, key: { kid, alg } }, index) => ({
        kid,
        alg,
        file: basename(path),
        signs: files.findIndex((other) => other.key.alg === alg) === index,
      }))
      if (keys.length === 0)
        terminal.note('There are no signing keys yet: the first start of the server makes them.')
      if (json) terminal.print(JSON.stringify(keys, null, 2))
      else
        for (const { kid, alg, file, signs } of keys)
          terminal.print(`${kid} ${alg} ${file} ${signs ? 'signs' : 'published'}`)
    })
}
