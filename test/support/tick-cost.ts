import { setTimeout as delay } from 'node:timers/promises'
import { collectGarbage } from '../../src/server/collect-garbage.ts'
import { keepTickShape } from '../../src/server/tick-shape.ts'

// Prints what one process.nextTick costs after a collection, in nanoseconds: `node tick-cost.ts [keep]`.

const TICKS = 20_000

const cost = () =>
  new Promise<number>((resolve) => {
    const started = performance.now()
    let left = TICKS
    const tick = () => {
      if (--left > 0) process.nextTick(tick)
      else resolve(((performance.now() - started) / TICKS) * 1e6)
    }
    tick()
  })

if (process.argv[2] === 'keep') keepTickShape()
await cost()
// V8 compiles on threads of its own, and takes what it knew back when it collects.
await delay(100)
await collectGarbage()
await delay(100)
// The least of many: what else the machine does makes none of them smaller.
let least = Infinity
for (let n = 0; n < 20; n++) least = Math.min(least, await cost())
console.log(Math.round(least))
