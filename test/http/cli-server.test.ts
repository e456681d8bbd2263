import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CommandOptions, spawnCommand } from '../support/command.ts'
import { freePort } from '../support/postern.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let folder: string
let options: CommandOptions & { env: NodeJS.ProcessEnv }
const started: ChildProcess[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-cli-'))
  // As root PostgreSQL runs under another account, and would otherwise have to live outside this folder.
  await chmod(folder, 0o711)
  const port = await freePort()
  const env = {
    POSTERN_HTTP__PUBLIC_URL: `http://localhost:${port}/auth/`,
    POSTERN_HTTP__LISTENERS: `[{ host: localhost, port: ${port} }]`,
  }
  options = { cwd: folder, env }
})
afterEach(async () => {
  for (const child of started.splice(0)) if (child.exitCode === null) await stop(child)
  await rm(folder, { recursive: true })
})

/** Starts the server and waits until it says that it is ready. */
async function startServer() {
  const env = { PATH: process.env.PATH, ...options.env }
  const child = spawn(process.execPath, [MAIN, 'server'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  const log = createInterface({ input: child.stdout! })
  /** Resolves when the server has logged an event after this call. */
  const logged = (event: string) =>
    new Promise<void>((resolve) => {
      log.on('line', (line) => line.includes(event) && resolve())
    })
  const notes: string[] = []
  const lines = createInterface({ input: child.stderr! })
  const ready = new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      notes.push(line)
      // The first administrator's link is the last line.
      if (line.startsWith('  http')) resolve()
    })
    lines.on('close', () => reject(new Error(notes.join('\n'))))
  })
  await ready
  return { child, notes, logged }
}

async function stop(child: ChildProcess): Promise<number | null> {
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const [code] = (await exited) as [number | null]
  return code
}

test('the server starts from nothing, commands work beside it, and SIGTERM ends it', {
  timeout: 120_000,
}, async () => {
  const first = await startServer()
  expect(first.notes[0]).toContain(`Postern is ready at ${options.env.POSTERN_HTTP__PUBLIC_URL}`)
  expect(first.notes.join('\n')).toContain('There is no homeserver: users are of the server name localhost')
  const discovery = new URL('.well-known/openid-configuration', options.env.POSTERN_HTTP__PUBLIC_URL)
  expect((await fetch(discovery)).status).toBe(200)

  const add = ['user', 'add', 'alice', '--admin', '--password-stdin']
  expect(await spawnCommand(add, { ...options, input: 'correct horse battery' })).toMatchObject({ code: 0 })
  expect((await spawnCommand(['user', 'list'], options)).out).toMatch(/^alice \S+ admin$/)
  expect((await spawnCommand(['keys', 'list'], options)).out.split('\n')).toHaveLength(2)

  expect(await spawnCommand(['reload'], options)).toMatchObject({ code: 0, err: '' })
  const reloaded = first.logged('reload.done')
  first.child.kill('SIGHUP')
  await reloaded

  const second = await spawnCommand(['server'], options)
  expect(second.code).toBe(1)
  expect(second.err.split('\n')).toHaveLength(1)
  expect(await stop(first.child)).toBe(0)
})

test('a service manager that waits is told once the server answers', { timeout: 120_000 }, async () => {
  const told = join(folder, 'told')
  const health = new URL('health', options.env.POSTERN_HTTP__PUBLIC_URL)
  const ask = `fetch('${health}').then((r) => console.log(process.argv[1], process.env.NOTIFY_SOCKET, r.status))`
  await writeFile(
    join(folder, 'systemd-notify'),
    `#!/bin/sh\n"${process.execPath}" --eval "${ask}" -- "$1" > "${told}"\n`,
    { mode: 0o755 },
  )
  options.env.PATH = `${folder}:${process.env.PATH}`
  options.env.NOTIFY_SOCKET = '/run/there'
  await startServer()
  await expect
    .poll(() => readFile(told, 'utf8').catch(() => ''), { timeout: 20_000 })
    .toBe('--ready /run/there 200\n')
})

test('until there is an admin the start prints a link below the public address', {
  timeout: 120_000,
}, async () => {
  const { notes } = await startServer()
  expect(notes.at(-1)).toMatch(/^ {2}http:\/\/localhost:\d+\/auth\/setup\/[\w-]{43}$/)
})
