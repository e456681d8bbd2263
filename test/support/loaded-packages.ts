import { registerHooks } from 'node:module'

// Run as a process of its own: loads the whole server, starts tracing as the first argument says, and prints which
// packages of OpenTelemetry were loaded. pg-boss loads the API whether it is used or not: that one does nothing.

const loaded = new Set<string>()
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('@opentelemetry/') && !context.parentURL?.includes('/pg-boss/'))
      loaded.add(specifier)
    return next(specifier, context)
  },
})
await import('../../src/server/server.ts')
const { startTracing } = await import('../../src/telemetry/start.ts')
const { serverLog } = await import('../../src/cli/log.ts')
const endpoint = process.argv[2]
const config = { tracing: { sample_ratio: 1, service_name: 'postern', ...(endpoint ? { endpoint } : {}) } }
await startTracing(config as Parameters<typeof startTracing>[0], serverLog('silent'))
console.log(JSON.stringify([...loaded]))
