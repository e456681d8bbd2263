import type { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { inheritedSockets } from '../server/inherited-sockets.ts'
import type { Context } from './context.ts'
import { tellSystemd } from './tell-systemd.ts'
import { welcome } from './welcome.ts'

export function addServer(program: Command, { terminal, config }: Context): void {
  program
    .command('server')
    .description('run the service')
    .action(async () => {
      const loaded = await config()
      const { serverLog } = await import('./log.ts')
      const log = serverLog(loaded.log.level)
      const signal = firstSignal()
      const inherited = inheritedSockets(terminal.env, process.pid)
      // Only here: the other commands need not wait until the whole service is loaded.
      const { startServer } = await import('../server/server.ts')
      const { collectGarbage } = await import('../server/collect-garbage.ts')
      const { keepTickShape } = await import('../server/tick-shape.ts')
      const { letHashingYield } = await import('../server/yield-to-requests.ts')
      const server = await startServer(loaded, { log, clock: systemClock, readConfig: config, inherited })
      // Without a listener of ours, the signal would end the process.
      process.on('SIGHUP', () => void server.reload())
      try {
        const setupPath = await server.app.firstAdmin.issue()
        welcome(loaded, { listening: server.listening, setupPath }, terminal)
        await tellSystemd(terminal.env)
        keepTickShape()
        await collectGarbage()
        await letHashingYield()
        log.info({ signal: await signal }, 'server.stopping')
      } finally {
        await server.close()
      }
    })
}

/**
 * The first SIGTERM or SIGINT, listened for from now on: one that comes during the start is not lost. A second one
 * ends the process at once, as it does without us.
 */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const signals = ['SIGTERM', 'SIGINT'] as const
    const onSignal = (signal: NodeJS.Signals) => {
      for (const each of signals) process.off(each, onSignal)
      resolve(signal)
    }
    for (const each of signals) process.on(each, onSignal)
  })
}
