import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a document shows in a language, one block after the other. */
export async function codeBlocks(document: string, language: string): Promise<string[]> {
  const text = await readFile(new URL(`../../docs/${document}`, import.meta.url), 'utf8')
  return [...text.matchAll(/^```(\S+)\n([\s\S]*?)^```$/gm)]
    .filter(([, of]) => of === language)
    .map(([, , code]) => code ?? '')
}

/** Replaces every occurrence. @throws Error where there is none: the document has changed, and the test must too */
export function replaced(text: string, replacements: Record<string, string>): string {
  let result = text
  for (const [from, to] of Object.entries(replacements)) {
    if (!result.includes(from)) throw new Error(`The document no longer says: ${from}`)
    result = result.replaceAll(from, to)
  }
  return result
}

/** Makes a proxy's list of appservice tokens as the document says, from registration files; its path. */
export async function documentedTokenList(
  proxy: 'nginx' | 'caddy',
  folder: string,
  registrations: string[],
): Promise<string> {
  const source = join(folder, 'appservices')
  await mkdir(source, { recursive: true })
  await Promise.all(registrations.map((yaml, index) => writeFile(join(source, `${index}.yaml`), yaml)))
  const list = join(folder, 'appservice-tokens')
  if (registrations.length === 0) {
    // As the document says for those without bridges.
    await writeFile(list, '# none\n')
    return list
  }
  const blocks = await codeBlocks('reverse-proxy.md', 'sh')
  const block = blocks.find((one) => one.includes(`/etc/${proxy}/appservice-tokens`)) ?? ''
  // The first command; what follows talks to the system's own proxy.
  const command = /^\(umask [\s\S]*?\)$/m.exec(block)?.[0] ?? ''
  const here = { '/etc/matrix-synapse/appservices': source, [`/etc/${proxy}/appservice-tokens`]: list }
  await run('sh', ['-c', replaced(command, here)])
  return list
}
