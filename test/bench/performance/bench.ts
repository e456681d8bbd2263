import { type DatabaseServer, openDatabaseServer } from './database.ts'
import { startHomeserver } from './homeserver.ts'
import type { Options } from './options.ts'
import { SERVICE_CORE } from './pinning.ts'
import { run } from './process.ts'
import { type Service, startOn } from './service.ts'

/** What rows measure with; everything is started at its first use and ended by `close`. */
export interface Bench {
  options: Options
  database: DatabaseServer
  homeserver: string
  /** The port of a bare node:http server. */
  bareServer(): Promise<number>
  /** The port of a process that only hashes. */
  bareArgon2(): Promise<number>
  /** A running service on a database with that many tokens. */
  serviceWith(tokens: number): Promise<Service>
  /** A new service on the same database, for rows about the process itself; ended by the row. */
  freshService(tokens: number): Promise<Service>
  close(): Promise<void>
}

export async function openBench(options: Options): Promise<Bench> {
  const closing: (() => unknown)[] = []
  const homeserver = await startHomeserver()
  closing.push(homeserver.close)
  const database = await openDatabaseServer()
  closing.push(database.close)

  const once = <T>(start: () => Promise<T>) => {
    let started: Promise<T> | undefined
    return () => (started ??= start())
  }
  const script = (name: string) =>
    once(async () => {
      const child = run(SERVICE_CORE, [`${import.meta.dirname}/${name}`])
      closing.push(child.stop)
      return Number(await child.firstLine)
    })
  const services = new Map<number, Promise<Service>>()
  const freshService = async (tokens: number) => startOn(await database.filled(tokens), homeserver.url)

  return {
    options,
    database,
    homeserver: homeserver.url,
    bareServer: script('bare-server.ts'),
    bareArgon2: script('bare-argon2.ts'),
    serviceWith(tokens) {
      const started =
        services.get(tokens) ??
        freshService(tokens).then((service) => {
          closing.push(service.stop)
          return service
        })
      services.set(tokens, started)
      return started
    },
    freshService,
    async close() {
      for (const step of closing.splice(0).reverse()) await step()
    },
  }
}
