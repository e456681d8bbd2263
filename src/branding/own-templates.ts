import nunjucks from 'nunjucks'
import type { PlacedPath } from '../config/sections/branding.ts'
import { suggest } from '../config/suggest.ts'
import type { TemplateFile } from '../views/index.ts'
import { layTemplates, readShippedTemplates, SHIPPED } from '../views/shipped-templates.ts'
import { readFolder } from './read-folder.ts'
import { readSyntax, type Syntax } from './template-syntax.ts'

/** The filters of our own; nunjucks' come beside them. */
const OUR_FILTERS = ['clean', 'initials', 'isWebAddress', 'exactTime', 'time', 'date']

/** The names of every filter that a template may use. */
function knownFilters(): string[] {
  const { filters } = new nunjucks.Environment([]) as unknown as { filters: object }
  return [...Object.keys(filters), ...OUR_FILTERS]
}

/** The operator's templates, read and looked at without running them. */
export async function readOwnTemplates(
  folder: PlacedPath,
): Promise<{ templates: Map<string, TemplateFile>; problems: string[] }> {
  const { files, problems } = await readFolder(folder)
  const templates = new Map<string, TemplateFile>()
  for (const { name, path, source } of files) {
    if (!name.endsWith('.njk')) problems.push(`${path}: is no template; name it *.njk, or remove it`)
    else if (name.startsWith(SHIPPED))
      problems.push(`${path}: stands in "${SHIPPED}", by which our own templates are reached; move it`)
    else templates.set(name, { path, source })
  }
  const filters = knownFilters()
  const syntaxes = new Map([...templates].map(([name, { source }]) => [name, readSyntax(source, filters)]))
  const shipped = readShippedTemplates()
  const known = [...layTemplates(shipped, templates).keys()]
  for (const [name, { path }] of templates) {
    const { flaws, references } = syntaxes.get(name)!
    for (const { line, message } of flaws) problems.push(`${path}:${line}: ${message}`)
    for (const { name: wanted, line, optional } of references)
      if (!optional && !known.includes(wanted))
        problems.push(
          `${path}:${line}: asks for "${wanted}", which there is not; ${didYouMean(wanted, known)}`,
        )
  }
  problems.push(...strangers(templates, syntaxes, [...shipped.keys()]))
  return { templates, problems }
}

/** Files that stand over none of ours and that nothing asks for: most likely their name is mistyped. */
function strangers(
  templates: ReadonlyMap<string, TemplateFile>,
  syntaxes: ReadonlyMap<string, Syntax>,
  shipped: readonly string[],
): string[] {
  const asked = new Set(
    [...syntaxes.values()].flatMap(({ references }) => references.map(({ name }) => name)),
  )
  const anyAsked = [...syntaxes.values()].some(({ asksForAny }) => asksForAny)
  return [...templates]
    .filter(([name]) => !shipped.includes(name) && !asked.has(name))
    .filter(([name]) => name.startsWith('pages/') || !anyAsked)
    .map(
      ([name, { path }]) =>
        `${path}:1: is no page or part of ours, and nothing asks for it; ${didYouMean(name, shipped)}`,
    )
}

function didYouMean(name: string, candidates: readonly string[]): string {
  // A folder that was left out is the likeliest mistake.
  const meant = candidates.find((candidate) => candidate.endsWith(`/${name}`)) ?? suggest(name, candidates)
  return meant ? `did you mean "${meant}"?` : 'write one of the names in docs/branding.md'
}
