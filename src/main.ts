#!/usr/bin/env node
// Nothing is imported before Node's version is known: an older one fails on the imports with words of its own.
const NEEDED = 24
const [major] = process.versions.node.split('.')
if (Number(major) < NEEDED) {
  console.error(
    `Postern needs Node.js ${NEEDED} or newer, this is ${process.versions.node}. Install it from https://nodejs.org/en/download`,
  )
  process.exitCode = 1
} else {
  // What was compiled is kept beside the code, where only those who may change the code can write: half of a command's
  // start. Where it cannot be written nothing is kept.
  const { enableCompileCache } = await import('node:module')
  const { fileURLToPath } = await import('node:url')
  enableCompileCache(fileURLToPath(new URL('../.cache/compiled', import.meta.url)))
  const { run } = await import('./cli/program.ts')
  const { systemTerminal } = await import('./cli/terminal.ts')
  // Not process.exit(): what is still being written to a pipe would be lost.
  process.exitCode = await run(process.argv.slice(2), systemTerminal())
}

export {}
