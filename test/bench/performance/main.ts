import { openBench } from './bench.ts'
import { readOptions, usage } from './options.ts'
import { LOAD_CORE, pinThisProcess } from './pinning.ts'
import type { Result, Row } from './result.ts'
import { floodRow } from './rows/flood.ts'
import { growthRow } from './rows/growth.ts'
import { introspectionRow, latencyRow } from './rows/introspection.ts'
import { memoryRow } from './rows/memory.ts'
import { refreshRow } from './rows/refresh.ts'
import { signInRow } from './rows/sign-in.ts'
import { startRow } from './rows/start.ts'
import { describeMachine, renderTable } from './table.ts'

// `npm run bench`: see docs/performance.md.

const ROWS: readonly Row[] = [
  startRow,
  introspectionRow,
  latencyRow,
  growthRow,
  refreshRow,
  signInRow,
  floodRow,
  memoryRow,
]

async function main(argv: readonly string[]): Promise<void> {
  const options = readOptions(argv)
  const unknown = options.rows.filter((name) => !ROWS.some((row) => row.name === name))
  if (unknown.length > 0) {
    throw new TypeError(
      `No row is called ${unknown.join(', ')}; there are ${ROWS.map((row) => row.name).join(', ')}`,
    )
  }
  const chosen = ROWS.filter(({ name }) => options.rows.length === 0 || options.rows.includes(name))
  pinThisProcess(LOAD_CORE)
  const bench = await openBench(options)
  const results: Result[] = []
  try {
    for (const row of chosen) {
      console.error(`measuring: ${row.name}`)
      results.push(...(await row.measure(bench)))
    }
    console.log(`${renderTable(results)}\n\n${describeMachine(await bench.database.version())}`)
  } finally {
    await bench.close()
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof TypeError ? `${error.message}\n${usage}` : error)
  process.exitCode = 1
}
