import { execFileSync } from 'node:child_process'
import { access, chmod, cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

// Makes the publishable package: JavaScript instead of TypeScript, the same folders otherwise, in dist/ and as a
// tarball beside it in dist/.

const root = resolve(import.meta.dirname, '..')
const dist = join(root, 'dist')

/** What the package carries beside the code; some of it may not exist yet. */
const carried = [
  'templates',
  'policies',
  'docs',
  'config.sample.yaml',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
]

interface Manifest {
  scripts?: unknown
  devDependencies?: unknown
  optionalDependencies?: Record<string, string>
  [key: string]: unknown
}

await rm(dist, { recursive: true, force: true })
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
await cp(join(root, 'src'), join(dist, 'src'), {
  recursive: true,
  filter: (path) => !path.endsWith('.ts'),
})
for (const name of carried) {
  const exists = await access(join(root, name)).then(
    () => true,
    () => false,
  )
  if (exists) await cp(join(root, name), join(dist, name), { recursive: true })
}
await chmod(join(dist, 'src/main.js'), 0o755)
await writeFile(join(dist, 'package.json'), `${JSON.stringify(await packageManifest(), null, 2)}\n`)
const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', dist], {
  cwd: dist,
  encoding: 'utf8',
})
const [tarball] = JSON.parse(packed) as { filename: string; size: number; entryCount: number }[]
console.log(`dist/${tarball!.filename}: ${tarball!.entryCount} files, ${Math.ceil(tarball!.size / 1024)} KiB`)

/** Ours without what only a clone needs: tools, scripts, and the Node that npm scripts put first. */
async function packageManifest(): Promise<Manifest> {
  const {
    scripts: _,
    devDependencies: __,
    optionalDependencies,
    ...manifest
  } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest
  const optional = Object.entries(optionalDependencies ?? {}).filter(([name]) => !/^node-[a-z]+-/.test(name))
  return {
    ...manifest,
    bin: { postern: 'src/main.js' },
    files: ['src', 'migrations', ...carried],
    ...(optional.length > 0 && { optionalDependencies: Object.fromEntries(optional) }),
  }
}
