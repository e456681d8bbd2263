import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const SCRIPT = join(import.meta.dirname, '../support/tick-cost.ts')
const cost = (...args: string[]) => Number(execFileSync(process.execPath, [SCRIPT, ...args]))

test('process.nextTick stays quick after a collection, where its shape is kept', () => {
  // Should this fail because the second is quick as well, Node.js has learnt it: then src/server/tick-shape.ts may go.
  expect(cost('keep') * 2).toBeLessThan(cost())
})
