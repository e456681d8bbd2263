import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../support/postern.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Where it is installed: nobody but us may enter it, as in a home directory. */
let folder: string
let tarball: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-package-'))
  await run(process.execPath, ['scripts/build.ts'], { cwd: root })
  const names = await readdir(join(root, 'dist'))
  tarball = join(root, 'dist', names.find((name) => name.endsWith('.tgz'))!)
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], { cwd: folder })
})

afterAll(async () => {
  // As root the database lies elsewhere, because PostgreSQL's account cannot enter the folder.
  const elsewhere = await readlink(join(folder, 'data/postgres')).catch(() => undefined)
  if (elsewhere !== undefined) await rm(elsewhere, { recursive: true, force: true })
  await rm(folder, { recursive: true, force: true })
})

test('the package carries JavaScript and no development tools', async () => {
  const installed = join(folder, 'node_modules/postern')
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  expect(manifest).not.toHaveProperty('devDependencies')
  expect(manifest).not.toHaveProperty('scripts')
  expect(JSON.stringify(manifest)).not.toContain('node-linux')
  const files = await readdir(installed, { recursive: true })
  expect(files.filter((file) => file.endsWith('.ts'))).toEqual([])
  expect(files).toEqual(
    expect.arrayContaining(['README.md', 'LICENSE', 'CHANGELOG.md', 'policies/samples.test.yaml']),
  )
  await expect(readdir(join(folder, 'node_modules'))).resolves.not.toContain('typescript')
})

test('the installed command tells its version', async () => {
  const { stdout } = await run(join(folder, 'node_modules/.bin/postern'), ['--version'], { cwd: folder })
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  expect(stdout.trim()).toBe(version)
})

test('the installed server starts from nothing with templates of the operator, is healthy, and ends', async () => {
  const port = await freePort()
  const server = await startServer(port)
  try {
    const health = await fetch(`http://localhost:${port}/health`)
    expect(health.status).toBe(200)
    const discovery = await fetch(`http://localhost:${port}/.well-known/openid-configuration`)
    expect(await discovery.json()).toMatchObject({ issuer: `http://localhost:${port}/` })
    const page = await (await fetch(`http://localhost:${port}/login`)).text()
    expect(page).toContain('help@harbour.example')
  } finally {
    const exit = once(server, 'exit')
    server.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  }
})

/** Starts the installed server and waits until it says that it is ready. */
async function startServer(port: number): Promise<ChildProcess> {
  const child = spawn(join(folder, 'node_modules/.bin/postern'), ['server'], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      POSTERN_HTTP__PUBLIC_URL: `http://localhost:${port}/`,
      POSTERN_HTTP__LISTENERS: `[{ host: localhost, port: ${port} }]`,
      // Own templates are checked against ours and the samples, all of which the package has to carry.
      POSTERN_BRANDING__TEMPLATES_FOLDER: 'node_modules/postern/docs/branding-example/templates',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said: string[] = []
  for await (const line of createInterface({ input: child.stderr! })) {
    said.push(line)
    if (line.startsWith('Postern is ready')) {
      child.stderr?.resume()
      return child
    }
  }
  throw new Error(said.join('\n'))
}
