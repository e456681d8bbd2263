import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { spawnCommand } from '../support/command.ts'
import { startFakeHomeserver } from '../support/fake-homeserver.ts'
import { freePort } from '../support/free-port.ts'
import { PASSWORD } from '../support/oauth.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** A service as it runs in earnest: a process of its own with its embedded PostgreSQL and durable commits. */
export interface MeasuredService {
  /** The public address, ending with a slash. */
  url: string
  close(): Promise<void>
}

/** @param users who can sign in with the password of the tests */
export async function startMeasuredService(users: string[]): Promise<MeasuredService> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'))
  const homeserver = await startFakeHomeserver({ secret: 'secret-of-the-measurement' })
  const port = await freePort()
  const url = `http://localhost:${port}/`
  const config = {
    http: { public_url: url, listeners: [{ host: 'localhost', port }] },
    matrix: { server_name: 'localhost.test', endpoint: homeserver.url, secret: homeserver.secret },
    data_folder: join(folder, 'data'),
    log: { level: 'warn' },
  }
  await writeFile(join(folder, 'postern.yaml'), stringify(config))
  const child = spawn(process.execPath, [MAIN, 'server'], {
    cwd: folder,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)

  const ready = () =>
    fetch(`${url}ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  const deadline = Date.now() + 60_000
  while (!(await ready())) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`The service did not start:\n${said}`)
    await sleep(100)
  }
  for (const name of users) {
    const { code, err } = await spawnCommand(['user', 'add', name, '--password-stdin'], {
      cwd: folder,
      input: PASSWORD,
    })
    if (code !== 0) throw new Error(err)
  }
  return {
    url,
    async close() {
      process.off('exit', killWithUs)
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
      await homeserver.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
