import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, cp, mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { networkEnvironment } from './host.ts'
import { cacheFolder, copyOf, emptyDebian } from './image.ts'

const execute = promisify(execFile)
const project = fileURLToPath(new URL('../../..', import.meta.url))

/** What of an image says how it is run. */
export interface ImageConfig {
  User: string
  Env: string[]
  Entrypoint: string[]
  Cmd: string[]
  Healthcheck: { Test: string[] }
}

/** Images of its own, gone at the end; their commands run in a chroot, which needs nothing of the host but root. */
export interface ImageStore {
  /** Builds deploy/Containerfile. */
  build(): Promise<ImageConfig>
  /** Runs something in a container of what was built, with what the host has of a network. */
  start(command: readonly string[], user: string, env: Record<string, string>): ChildProcess
  run(command: readonly string[], user: string): Promise<string>
  close(): Promise<void>
}

/** Has the Containerfile's base image, made of an empty Debian with the Node.js and npm that run this. */
export async function createImageStore(base: string): Promise<ImageStore> {
  await mkdir(cacheFolder, { recursive: true })
  const image = await emptyDebian('trixie')
  const folder = await mkdtemp(join(cacheFolder, `machine-${process.pid}-`))
  const options = [
    '--root',
    join(folder, 'storage'),
    '--runroot',
    join(folder, 'run'),
    '--storage-driver',
    'vfs',
  ]
  const buildah = async (...args: string[]) =>
    (await execute('buildah', [...options, ...args], { cwd: project, maxBuffer: 64_000_000 })).stdout.trim()
  const root = join(folder, 'root')
  await mkdir(root)
  await copyOf(image, root)
  await withNode(root)
  const from = await buildah('from', 'scratch')
  await buildah('add', '--quiet', from, root, '/')
  for (const [name, value] of Object.entries(networkEnvironment()))
    await buildah('config', '--env', `${name}=${value}`, from)
  await buildah('config', '--env', 'NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt', from)
  await buildah('commit', '--quiet', '--rm', from, base)
  await rm(root, { recursive: true })

  let container = ''
  const inside = (command: readonly string[], user: string, env: Record<string, string> = {}) => {
    const settings = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
    return [
      ...options,
      'run',
      '--isolation',
      'chroot',
      '--user',
      user,
      ...settings,
      container,
      '--',
      ...command,
    ]
  }
  return {
    async build() {
      const how = ['--isolation', 'chroot', '--pull-never', '--format', 'docker', '--quiet']
      await buildah('build', ...how, '--file', 'deploy/Containerfile', '--tag', 'postern', '.')
      container = await buildah('from', '--pull-never', 'localhost/postern')
      return JSON.parse(await buildah('inspect', '--type', 'image', 'postern')).Docker.config
    },
    start: (command, user, env) =>
      spawn('buildah', inside(command, user, env), { stdio: ['ignore', 'pipe', 'pipe'] }),
    run: async (command, user) => (await execute('buildah', inside(command, user))).stdout,
    close: () => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }),
  }
}

/** As Node.js's official images have it: the program and npm in /usr/local, and an account. */
async function withNode(root: string): Promise<void> {
  const { stdout } = await execute('sh', ['-c', 'PATH=/usr/local/bin:/usr/bin command -v npm'])
  const npm = dirname(dirname(await realpath(stdout.trim())))
  const local = join(root, 'usr/local')
  await copyFile(process.execPath, join(local, 'bin/node'))
  await cp(npm, join(local, 'lib/node_modules/npm'), { recursive: true, dereference: true })
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'))
  await execute('chroot', [root, 'useradd', '--uid', '1000', '--create-home', 'node'])
}

/** Ends what runs in a container, and waits for it. */
export async function stopped(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  return (await exit)[0] as number | null
}
