import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Unit } from './machine.ts'

const path = (relative: string) => fileURLToPath(new URL(`../../../${relative}`, import.meta.url))

/** In place of the clone in /opt/postern: this one, with a configuration and data of its own. */
export async function layOutPostern(folder: string): Promise<string> {
  const opt = join(folder, 'opt/postern')
  await mkdir(opt, { recursive: true })
  for (const name of ['src', 'node_modules', 'migrations', 'templates', 'package.json'])
    await symlink(path(name), join(opt, name))
  return opt
}

/**
 * Postern as the unit in docs/install.md runs it. Starting waits until it is ready.
 */
export function posternUnit(opt: string, port: number): Required<Pick<Unit, 'start' | 'stop'>> {
  const logFile = join(opt, 'postern.log')
  let child: ChildProcess | undefined
  return {
    async start() {
      const output = await open(logFile, 'a')
      child = spawn(process.execPath, ['src/main.ts', 'server'], {
        cwd: opt,
        env: {
          PATH: process.env.PATH,
          POSTERN_HTTP__LISTENERS: `[{ host: 127.0.0.1, port: ${port} }]`,
        },
        stdio: ['ignore', output.fd, output.fd],
      })
      await output.close()
      await waitUntilReady(`http://127.0.0.1:${port}/ready`, child, logFile)
    },
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
    },
  }
}

async function waitUntilReady(url: string, child: ChildProcess, logFile: string): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const ready = await fetch(url).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`Postern did not start:\n${(await readFile(logFile, 'utf8')).slice(-3000)}`)
    }
    await sleep(100)
  }
}
