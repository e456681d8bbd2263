import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runApp } from '../support/debian/app.ts'
import { certificatesFor } from '../support/debian/certificates.ts'
import { bootDebian, type DebianMachine } from '../support/debian/machine.ts'
import { commandsOf, repositoryOf } from '../support/debian/walk.ts'
import { PASSWORD } from '../support/oauth.ts'

const guide = await commandsOf('docs/install.md')
const proxyGuide = await commandsOf('docs/reverse-proxy.md')

let machine: DebianMachine
/** Where an operator would have stopped. */
let stoppedAt: string | undefined
/** What the commands printed, by the line of the guide. */
const printed = new Map<number, string>()

beforeAll(async () => {
  machine = await bootDebian('trixie')
  await certificatesFor(machine, ['example.org', 'matrix.example.org', 'auth.example.org'])
  // The guide's placeholder leads to the code under test.
  await repositoryOf(join(machine.root, 'srv/postern.git'))
  const elsewhere = '[url "file:///srv/postern.git"]\n\tinsteadOf = https://git.example.org/postern.git\n'
  await writeFile(join(machine.root, 'etc/gitconfig'), elsewhere)
})
afterAll(() => machine?.close())

// What was not installed cannot be tried.
beforeEach(({ skip }) => skip(stoppedAt !== undefined, `${stoppedAt} failed`))

/** Runs a block as an operator does, who goes no further once something fails. */
async function follow(page: string, { line, commands }: { line: number; commands: string }): Promise<string> {
  // What asks for a password is typed into, twice.
  const typed = /postern user add/.test(commands) ? [PASSWORD, PASSWORD] : undefined
  const { code, output, failedAt } = await machine.run(commands, { typed })
  if (code === 0) return output
  stoppedAt = `${page}:${line + (failedAt ?? 1) - 1}`
  throw new Error(`${stoppedAt} ended with ${code}:\n${output.slice(-5000)}`)
}

const outputOf = (command: string) =>
  printed.get(guide.find(({ commands }) => commands.includes(command))?.line ?? 0) ?? ''

describe('on an empty Debian, a command of docs/install.md works', () => {
  test.each(guide.map((block) => [block.line, block.commands.split('\n')[0], block] as const))(
    'line %i: %s',
    async (line, _, block) => {
      printed.set(line, await follow('docs/install.md', block))
    },
  )
})

describe('what the guide says is so', () => {
  test('the configuration of both was written, and no secret shown', async () => {
    const said = outputOf('postern config generate')
    expect(said).toContain('Written: /opt/postern/postern.yaml')
    expect(said).toContain('Written: /etc/matrix-synapse/conf.d/postern.yaml')
    expect(said).not.toMatch(/[0-9a-f]{32}/)
    expect(said).not.toContain('Remove from homeserver.yaml')
  })

  test('the doctor finds everything well', () => {
    const said = outputOf('postern doctor')
    expect(said).not.toMatch(/PROBLEM|skipped/)
    expect(said).toContain('"issuer":"https://auth.example.org/"')
  })

  test('the link in the journal makes the first administrator', async () => {
    const link = /https:\/\/auth\.example\.org\/setup\/\S+/.exec(outputOf('journalctl'))?.[0]
    expect(link).toBeDefined()
    await runApp(machine, { act: 'set-up', link: link!, username: 'alice' })
    expect(await machine.output('runuser -u postern -- postern user list')).toMatch(/alice.*admin/)
  })

  test.each(['alice', 'bob'])(
    '%s signs in from an older app, and the homeserver takes the token',
    async (username) => {
      const answer = await runApp(machine, { act: 'old-app', username })
      expect(answer).toMatchObject({ whoami: { user_id: `@${username}:example.org` } })
    },
  )

  test('somebody signs in from a newer app, and the homeserver takes the token', async () => {
    const answer = await runApp(machine, { act: 'new-app', username: 'bob' })
    expect(answer).toMatchObject({ whoami: { user_id: '@bob:example.org', device_id: 'ABCDEFGHIJ' } })
  })

  test('the commands at the end of docs/reverse-proxy.md tell who answers', async () => {
    const said = await follow('docs/reverse-proxy.md', proxyGuide.at(-1)!)
    for (const word of ['m.login.sso', 'M_MISSING_TOKEN', 'M_NOT_JSON']) expect(said).toContain(word)
  })
})

describe('the unit of systemd', () => {
  const property = async (name: string) =>
    (await machine.output(`systemctl show --value --property=${name} postern`)).trim()

  test('is taken without a complaint, and well sandboxed', async () => {
    expect(await machine.output('systemd-analyze verify --man=no postern.service')).toBe('')
    await machine.output('systemd-analyze security --no-pager --threshold=20 postern.service')
  })

  test('holds the service in its sandbox', async () => {
    const pid = await property('MainPID')
    const status = await machine.output(`cat /proc/${pid}/status`)
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
    expect(status).toMatch(/^Seccomp:\s+2$/m)
    expect(status).toMatch(/^CapBnd:\s+0+$/m)
    expect(status).not.toMatch(/^Uid:\s+0/m)
    const enter = `nsenter --target ${pid} --mount --`
    await machine.output(`${enter} touch /opt/postern/data/probe && ${enter} rm /opt/postern/data/probe`)
    for (const path of ['/opt/postern/src/probe', '/etc/probe', '/var/lib/probe'])
      expect(await machine.output(`${enter} touch ${path} 2>&1 || true`)).toContain('Read-only file system')
  })

  test('reloads without a restart', async () => {
    const pid = await property('MainPID')
    await machine.output('systemctl reload postern')
    expect(await machine.output(`journalctl --no-pager -o cat -u postern`)).toContain('reload')
    expect(await property('MainPID')).toBe(pid)
  })

  test('is back when systemctl is, after a restart too, and everyone is still signed in', async () => {
    const token = (await runApp(machine, { act: 'old-app', username: 'bob' })).token
    await machine.output('systemctl restart postern && curl -fsS https://auth.example.org/ready')
    expect(await property('Result')).toBe('success')
    expect(await runApp(machine, { act: 'whoami', token: String(token) })).toMatchObject({
      whoami: { user_id: '@bob:example.org' },
    })
  })

  test('comes up by itself when the service was killed', async () => {
    await machine.output('systemctl kill --signal=KILL --kill-whom=main postern')
    await machine.output(
      'curl -fsS --retry 60 --retry-delay 1 --retry-all-errors https://auth.example.org/ready',
    )
  })

  test('ends in time, and leaves no process', async () => {
    await machine.output('systemctl stop postern')
    expect(await property('Result')).toBe('success')
    expect(await machine.output('find /proc -maxdepth 1 -user postern')).toBe('')
  })
})
