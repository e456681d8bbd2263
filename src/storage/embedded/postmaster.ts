import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../log.ts'
import type { Binaries } from './binaries.ts'
import type { Home } from './home.ts'
import { sharedBuffersMb } from './memory.ts'
import { commandOf, isAlive } from './process-state.ts'

/** A running PostgreSQL server, as it describes itself in `postmaster.pid`. */
export interface Postmaster {
  pid: number
  socketFolder: string
}

/** What we set beyond PostgreSQL's defaults: a Unix socket only, and memory by the machine's. */
const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '100',
  shared_buffers: `${sharedBuffersMb()}MB`,
  max_wal_size: '512MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  jit: 'off',
}

/** The server that runs on a cluster, or undefined. A file that a crash left behind is removed. */
export async function findPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const file = join(cluster, 'postmaster.pid')
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid < 1) return undefined
  if (!isAlive(pid)) return undefined
  if (!commandOf(pid).includes('postgres')) {
    // The number belongs to somebody else by now. PostgreSQL would take it for a server and refuse to start.
    await rm(file, { force: true })
    return undefined
  }
  return { pid, socketFolder: lines[4] ?? '' }
}

/**
 * Starts PostgreSQL in a session of its own, with its output in a file: neither Ctrl-C nor a closed terminal nor
 * a crash of ours stops it in the middle of our own shutdown.
 */
export function spawnPostmaster(
  home: Home,
  binaries: Binaries,
  settings: Readonly<Record<string, string>>,
): ChildProcess {
  const all = {
    ...SETTINGS,
    unix_socket_directories: `"${home.socketFolder.replaceAll('"', '""')}"`,
    ...settings,
  }
  const output = openSync(home.logFile, 'a', 0o600)
  try {
    const child = spawn(
      binaries.postgres,
      ['-D', home.cluster, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        ...home.account,
        cwd: dirname(home.cluster),
        detached: true,
        stdio: ['ignore', output, output],
        env: { LC_ALL: 'C', TZ: 'UTC' },
      },
    )
    child.unref()
    return child
  } finally {
    closeSync(output)
  }
}

/** How long each signal gets before the next harsher one, in milliseconds: fast, immediate, at once. */
const STOP_SIGNALS = [
  ['SIGINT', 20_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
] as const

/** Stops a server: a fast shutdown (sessions are cut, what was committed is written), then harsher ones. */
export async function stopPostmaster(cluster: string, { pid }: Postmaster, log: Log): Promise<void> {
  for (const [signal, patience] of STOP_SIGNALS) {
    if (signal !== 'SIGINT') log.warn({ postgres_pid: pid, signal }, 'storage.database_stops_slowly')
    try {
      process.kill(pid, signal)
    } catch {
      return
    }
    const deadline = performance.now() + patience
    while (performance.now() < deadline) {
      if ((await findPostmaster(cluster))?.pid !== pid && !isAlive(pid)) return
      await delay(20)
    }
  }
  log.error({ postgres_pid: pid }, 'storage.database_does_not_stop')
}
