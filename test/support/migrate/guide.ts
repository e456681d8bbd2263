import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** The commands of a page of the documentation: what its ```sh blocks say, by the heading above them. */
export interface Guide {
  /** The blocks below a heading, in order, with this machine's paths and addresses in place of the page's. */
  blocks(heading: string): string[]
}

/** @param replacements what the page writes → what it is here */
export async function readGuide(page: string, replacements: Record<string, string>): Promise<Guide> {
  const text = await readFile(fileURLToPath(new URL(`../../../${page}`, import.meta.url)), 'utf8')
  const sections = new Map<string, string[]>()
  for (const section of text.split(/^#+ /m).slice(1)) {
    const heading = section.slice(0, section.indexOf('\n')).trim()
    const blocks = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? '')
    sections.set(
      heading,
      blocks.map((block) => replaceAll(block, replacements)),
    )
  }
  return {
    blocks(heading) {
      const found = sections.get(heading)
      if (!found || found.length === 0) throw new Error(`${page} has no commands below “${heading}”`)
      return found
    },
  }
}

function replaceAll(block: string, replacements: Record<string, string>): string {
  return Object.entries(replacements).reduce((text, [from, to]) => text.replaceAll(from, to), block)
}
