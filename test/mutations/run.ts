import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Mutation, mutations } from './mutations.ts'

// Breaks each invariant, and other decisions on which security rests, in a copy of the source in turn and expects its
// test to turn red: a test that stays green when the thing it guards is broken guards nothing.
// `npm run test:mutations -- 4` tries invariant 4 only, `-- 0` what is no invariant.

const ROOT = resolve(import.meta.dirname, '../..')
const COPIED = ['src', 'migrations', 'templates', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts']

function runTests(
  folder: string,
  name: string,
  file = 'test/http/invariants.test.ts',
): Promise<{ green: boolean; output: string }> {
  const args = ['vitest', 'run', '--project', 'http', file, '-t', name, '--bail', '1']
  return new Promise((resolved, reject) => {
    const child = spawn('npx', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.on('error', reject)
    child.on('close', (code) => resolved({ green: code === 0, output }))
  })
}

/** Whether tests ran at all: a filter that matches none is green too. */
function ranTests(output: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of the test runner
  return /Tests\s.*[1-9]\d* (passed|failed)/.test(output.replaceAll(/\u001b\[\d+m/g, ''))
}

async function apply(folder: string, { file, find, replace }: Mutation): Promise<void> {
  const path = join(folder, file)
  const source = await readFile(path, 'utf8')
  if (source.split(find).length !== 2) {
    throw new Error(
      `${file} no longer has exactly one "${find}": bring test/mutations/mutations.ts up to date`,
    )
  }
  await writeFile(
    path,
    source.replace(find, () => replace),
  )
}

async function restore(folder: string, { file }: Mutation): Promise<void> {
  await cp(join(ROOT, file), join(folder, file))
}

const only = process.argv[2] === undefined ? undefined : Number(process.argv[2])
const chosen = mutations.filter(({ invariant }) => only === undefined || (invariant ?? 0) === only)
const folder = await mkdtemp(join(ROOT, '.cache-mutations-'))
let survived = 0
try {
  for (const name of COPIED) await cp(join(ROOT, name), join(folder, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const whole = await runTests(folder, only ? `invariant ${only}:` : 'invariant')
  if (!whole.green || !ranTests(whole.output)) {
    console.error(whole.output)
    throw new Error('The tests of the invariants must pass before anything is broken')
  }
  for (const mutation of chosen) {
    await apply(folder, mutation)
    const { invariant, test: guard } = mutation
    const { green, output } = await (guard
      ? runTests(folder, guard.title, guard.file)
      : runTests(folder, `invariant ${invariant}:`))
    await restore(folder, mutation)
    const noticed = !green && ranTests(output)
    if (!noticed) survived++
    console.log(`${noticed ? 'noticed ' : 'SURVIVED'} ${invariant ?? '-'}: a service that ${mutation.breaks}`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
console.log(`mutations: ${chosen.length - survived} passed, ${survived} failed`)
process.exitCode = survived === 0 ? 0 : 1
