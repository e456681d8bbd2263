import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

const CALL = /\blog\??\.(trace|debug|info|warn|error|fatal)\(/g

/** Every call that logs: level and event, as they stand in the source. */
async function loggedEvents(): Promise<string[]> {
  const names = await readdir(join(root, 'src'), { recursive: true })
  const events: string[] = []
  for (const name of names.filter((one) => one.endsWith('.ts'))) {
    const source = await readFile(join(root, 'src', name), 'utf8')
    for (const { 0: call, 1: level, index } of source.matchAll(CALL)) {
      const what = source.slice(index + call.length, index + 250)
      // The event is the last argument, before which nothing in quotes has this form.
      const event = /'([a-z_]+\.[a-z_]+)',?\s*\)/.exec(what)?.[1]
      events.push(`${level} ${event ?? `without a name in ${name}`}`)
    }
  }
  return events
}

test('docs/operate.md explains every event that is logged, with its level, and no other', async () => {
  const page = await readFile(join(root, 'docs/operate.md'), 'utf8')
  const rows = [...page.matchAll(/^\| (debug|info|warn|error) \| (`[a-z_]+\.[a-z_]+`.*?) \| .+ \|$/gm)]
  const explained = rows.flatMap(([, level, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, event]) => `${level} ${event}`),
  )
  expect(new Set(explained).size).toBe(explained.length)
  expect(new Set(explained)).toEqual(new Set(await loggedEvents()))
})
