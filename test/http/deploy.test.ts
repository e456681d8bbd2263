import { execFileSync, spawnSync } from 'node:child_process'
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/index.ts'
import { codeBlocks } from '../support/documented.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFile(join(root, path), 'utf8')
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-deploy-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('the guide installs the unit that is in deploy', async () => {
  expect((await codeBlocks('install.md', 'sh')).join('\n')).toContain(
    'install -m 644 deploy/postern.service /etc/systemd/system/',
  )
})

test.skipIf(!hasSystemd)('systemd takes the unit, and finds it well sandboxed', async () => {
  // The same but for the program, which is somewhere else here.
  const file = join(folder, 'postern.service')
  const unit = await read('deploy/postern.service')
  const here = unit.replaceAll('/opt/postern/node_modules/.bin/node', process.execPath)
  await writeFile(file, here)
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
  expect(verified.stderr.split('\n').filter((line) => line.includes('postern.service'))).toEqual([])
  const judged = execFileSync(
    'systemd-analyze',
    ['security', '--offline=true', '--threshold=25', '--no-pager', file],
    { encoding: 'utf8' },
  )
  expect(judged).toContain('OK')
})

/** What starts the service: npm, systemd and the image. */
const readStarts = () =>
  Promise.all(['package.json', 'deploy/postern.service', 'deploy/Containerfile'].map(read))

test('npm start, the unit and the container let the memory of password hashing be given back, in the same way', async () => {
  const files = await readStarts()
  const found = files.map((text) => /GLIBC_TUNABLES=(\S+)/.exec(text)?.[1])
  expect(found[0]).toContain('glibc.malloc.mmap_threshold=')
  expect(new Set(found).size).toBe(1)
})

test('npm start, the unit and the container give Node.js the same flags', async () => {
  const [scripts, unit, container] = await readStarts()
  const flags = '--max-semi-space-size=16 --use-largepages=silent'
  expect(JSON.parse(scripts ?? '').scripts.start).toContain(`node ${flags} src/main.ts server`)
  expect(unit).toContain(`node ${flags} src/main.ts server`)
  const words = ['node', ...flags.split(' '), 'src/main.ts'].map((word) => `"${word}"`)
  expect(container).toContain(`ENTRYPOINT [${words.join(', ')}]`)
})

test('the stop of the unit and of the container leaves time for requests to finish', async () => {
  const { http } = await loadConfig({ env: {}, cwd: folder })
  const limit = Number(/^TimeoutStopSec=(\d+)$/m.exec(await read('deploy/postern.service'))?.[1])
  const { services } = parse(await read('deploy/compose.yaml'))
  expect(limit).toBeGreaterThan(http.drain_limit)
  expect(Number.parseInt(services.postern.stop_grace_period, 10)).toBeGreaterThan(http.drain_limit)
})

test('the configuration of the compose file and the container is one that the service takes', async () => {
  const { services, secrets, volumes } = parse(await read('deploy/compose.yaml'))
  const secret = join(folder, 'matrix-secret')
  await writeFile(secret, 'a-secret-that-both-share\n')
  const listeners = /POSTERN_HTTP__LISTENERS="(.+)"/.exec(await read('deploy/Containerfile'))?.[1]
  const env = {
    ...services.postern.environment,
    POSTERN_HTTP__LISTENERS: listeners,
    POSTERN_MATRIX__SECRET_FILE: secret,
  }
  const config = await loadConfig({ env, cwd: folder })
  expect(config.matrix).toMatchObject({ secret: 'a-secret-that-both-share', server_name: 'example.org' })
  expect(config.http.listeners).toMatchObject([{ host: '0.0.0.0', port: 8080 }])
  const [, ...healthcheck] = services.postern.healthcheck.test
  const own = /^HEALTHCHECK [\s\S]*?CMD (\[.*\])$/m.exec(await read('deploy/Containerfile'))?.[1]
  expect(healthcheck).toEqual(JSON.parse(own ?? ''))
  for (const name of services.postern.secrets) expect(secrets).toHaveProperty(name)
  for (const service of Object.values<{ volumes: string[] }>(services))
    for (const volume of service.volumes) expect(volumes).toHaveProperty(volume.split(':')[0] ?? '')
})

test('the container has everything that the service reads, and the Node.js that it needs', async () => {
  const text = await read('deploy/Containerfile')
  const { engines } = JSON.parse(await read('package.json'))
  const images = [...text.matchAll(/^FROM \S+\/node:(\d+)/gm)].map(([, major]) => `>=${major}`)
  expect(images).toEqual([engines.node, engines.node])
  const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
    names.split(' '),
  )
  for (const name of copied) await access(join(root, name))
  expect(copied).toEqual(expect.arrayContaining(['src', 'migrations', 'templates']))
  const ignored = (await read('.containerignore')).split('\n')
  for (const name of copied) expect(ignored).toContain(`!${name}`)
})
