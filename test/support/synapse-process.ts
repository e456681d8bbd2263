import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { synapsePython } from './synapse-python.ts'

export interface SynapseProcess {
  /** The log so far. */
  log(): Promise<string>
  stop(): Promise<void>
}

/** Starts Synapse from configuration files or folders as they are, and waits until it answers at `url`. */
export async function runSynapse({
  configPaths,
  url,
  dataFolder,
}: {
  configPaths: string[]
  /** Where its listener answers; without a slash at the end. */
  url: string
  /** Its working folder, where its log is kept too. */
  dataFolder: string
}): Promise<SynapseProcess> {
  const python = await synapsePython()
  const logFile = join(dataFolder, 'synapse.log')
  const output = await open(logFile, 'a')
  const configArgs = configPaths.flatMap((path) => ['-c', path])
  const child = spawn(python, ['-m', 'synapse.app.homeserver', ...configArgs], {
    cwd: dataFolder,
    stdio: ['ignore', output.fd, output.fd],
  })
  await output.close()
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  const log = () => readFile(logFile, 'utf8')
  await waitUntilHealthy(url, child, log)
  return { log, stop: () => stop(child) }
}

async function waitUntilHealthy(url: string, child: ChildProcess, log: () => Promise<string>): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const healthy = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    )
    if (healthy) return
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop(child)
      throw new Error(`Synapse did not start:\n${(await log()).slice(-3000)}`)
    }
    await sleep(100)
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exit
  clearTimeout(timer)
}
