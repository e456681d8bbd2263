import { rm } from 'node:fs/promises'
import type { Bench } from '../bench.ts'
import { medianOf, type Row } from '../result.ts'
import { type Service, serviceFolder, startService } from '../service.ts'

async function several(bench: Bench, start: () => Promise<Service>): Promise<number> {
  const found: number[] = []
  for (let n = 0; n < bench.options.rounds; n++) {
    const service = await start()
    found.push(service.readyAfter)
    await service.stop()
  }
  return medianOf(found, (one) => one) / 1000
}

export const startRow: Row = {
  name: 'start',
  async measure(bench) {
    const { homeserver, database, options } = bench
    const folder = await serviceFolder()
    try {
      await (await startService(folder, { homeserver })).stop()
      const embedded = await several(bench, () => startService(folder, { homeserver }))
      const databaseUri = await database.filled(options.tokens)
      const external = await several(bench, () => startService(folder, { homeserver, databaseUri }))
      return [
        {
          what: 'ready on an existing data folder',
          target: 'within 1.5 s',
          measured: `${embedded.toFixed(2)} s`,
          reached: embedded <= 1.5,
        },
        {
          what: 'ready on an external PostgreSQL',
          target: 'within 1.0 s',
          measured: `${external.toFixed(2)} s`,
          reached: external <= 1,
        },
      ]
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}
