import { unlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import { addSigningKeys, readSigningKeys, stagesAt } from '../keys/index.ts'
import type { Context } from './context.ts'

const HOUR_MS = 3600 * 1000

export function addKeysRotate(parent: Command, { terminal, config }: Context): void {
  parent
    .command('rotate')
    .description('announce new signing keys, which begin to sign by themselves, and remove expired ones')
    .option('--announce <hours>', 'how long they are published before they sign', hours, 24)
    .option('--now', 'let them sign at once, where a key may have become known to somebody')
    .action(async (options: { announce: number; now?: true }) => {
      const folder = (await config()).secrets.keys_folder
      const now = systemClock.now()
      const keys = stagesAt(await readSigningKeys(folder), now)
      if (keys.length === 0)
        throw new PosternError(
          'keys_missing',
          'There are no signing keys yet: the first start of the server makes them',
        )
      const announced = keys.find(({ stage }) => stage === 'announced')
      if (announced && !options.now) {
        const when = announced.until?.toISOString()
        throw new PosternError('keys_announced', `Keys are announced already; they sign from ${when}`)
      }
      const signsFrom = options.now ? now : new Date(now.getTime() + options.announce * HOUR_MS)
      await addSigningKeys(folder, signsFrom)
      for (const { path } of keys.filter(({ stage }) => stage === 'expired')) {
        await unlink(path)
        terminal.print(`removed ${basename(path)}, which has expired`)
      }
      terminal.print(`The new keys sign from ${signsFrom.toISOString()}.`)
      terminal.note('Servers take them up within a minute; postern reload lets them do so at once.')
    })
}

function hours(value: string): number {
  const parsed = Number(value)
  // An hour at the least: that is what caches of the key set are given.
  if (!(parsed >= 1 && parsed <= 8760)) throw new InvalidArgumentError('Write hours, from 1 to 8760.')
  return parsed
}
