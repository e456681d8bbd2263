import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** What systemctl starts and stops. */
export interface Unit {
  start?(): Promise<void>
  stop?(): Promise<void>
  reload?(): void
}

/** What a block of commands printed, and how it ended. */
export interface ShellResult {
  code: number
  out: string
  err: string
}

/** A machine on which an operator's commands run: with its own systemctl, sudo, chown and psql. */
export interface Machine {
  /** Where its own commands lie, in place of /usr/local/bin. */
  bin: string
  run(script: string): Promise<ShellResult>
  close(): Promise<void>
}

/** @param env what its commands find in their environment */
export async function createMachine(
  folder: string,
  { units, env }: { units: Record<string, Unit>; env: Record<string, string> },
): Promise<Machine> {
  const control = await startControl(units)
  const bin = join(folder, 'bin')
  const psql = fileURLToPath(new URL('psql.ts', import.meta.url))
  await mkdir(bin)
  await writeCommands(bin, {
    // The test runs as one account, which need not be root.
    sudo: '[ "$1" = -u ] && shift 2\nexec "$@"',
    chown: 'exit 0',
    psql: `exec "${process.execPath}" "${psql}" "$@"`,
    systemctl: `action=$1; shift\nfor unit; do curl -fsS -X POST "${control.url}/$action/$unit" || exit 1; done`,
  })
  const variables = { HOME: folder, PATH: `${bin}:${process.env.PATH}`, ...env }
  return { bin, run: (script) => runShell(script, folder, variables), close: control.close }
}

/** Stops at the first command that fails, as an operator would. */
async function runShell(script: string, cwd: string, env: Record<string, string>): Promise<ShellResult> {
  const child = spawn('bash', ['--norc', '-e', '-u', '-o', 'pipefail', '-c', script], { cwd, env })
  child.stdin.end()
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: code as number, out, err }
}

async function writeCommands(bin: string, commands: Record<string, string>): Promise<void> {
  for (const [name, script] of Object.entries(commands)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`)
    await chmod(join(bin, name), 0o755)
  }
}

/** Does what systemd would, when it is asked by HTTP: the units run in this process or as its children. */
async function startControl(units: Record<string, Unit>): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (req, res) => {
    const [, action, name = ''] = (req.url ?? '').split('/')
    const unit = units[name]
    const known = action === 'start' || action === 'stop' || action === 'reload'
    try {
      if (!known || !unit?.[action]) throw new Error('There is no such thing')
      await unit[action]()
      res.end()
    } catch (error) {
      process.stderr.write(`systemctl ${action} ${name}: ${error}\n`)
      res.writeHead(500).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
