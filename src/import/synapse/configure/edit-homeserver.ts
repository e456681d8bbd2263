import { isDeepStrictEqual } from 'node:util'
import { isSeq } from 'yaml'
import { HomeserverConfigError } from '../homeserver-files.ts'
import { findObsolete, type Obsolete } from './obsolete.ts'
import { contentOf, ownItem, without } from './parts.ts'
import { inBlockStyle, parseYamlFile, renderYaml, type YamlFile } from './yaml-file.ts'
import {
  appendEdit,
  applyEdits,
  asComment,
  type Edit,
  type Lines,
  linesOf,
  pairsOf,
  rescueAliases,
} from './yaml-text.ts'

type Content = Record<string, unknown>

/** The section by which Synapse hands sign-in over. */
export const SECTION = 'matrix_authentication_service'

/** One file of a homeserver's configuration, edited. */
export interface EditedFile {
  text: string
  /** What became a comment. */
  removed: Obsolete[]
}

const SECTION_COMMENT = [
  'Postern looks after sign-in. What Synapse refuses beside this section, or has no use for any more, became a',
  'comment below a line that begins with "# Postern:".',
]

const MODULES_COMMENT =
  'look through these: Synapse does not start with a module that checks passwords or signs people in.'

/**
 * Turns what Synapse refuses beside `matrix_authentication_service` (and what does nothing beside it) into comments,
 * each below a line that says why. Every other character stays as it was.
 * @param name what messages call the file
 * @param section the section's content, for the one file that gets it
 * @throws HomeserverConfigError where it is not YAML, or would say something else afterwards
 */
export function editHomeserverYaml(text: string, name: string, section: Content | undefined): EditedFile {
  const original = parseYamlFile(text, name)
  if (!original.root) return { text, removed: [] }
  const file = inBlockStyle(original, name)
  const removed = findObsolete(original.value)
  const edited = edit(file, removed, section)
  const expected = expectedContent(original.value, removed, section)
  if (edited === undefined || !isDeepStrictEqual(parseYamlFile(edited, name).value, expected)) {
    const keys = removed.map(({ path }) => path.join('.')).join(', ')
    throw new HomeserverConfigError(
      `${name}: cannot be edited without changing more than it should; first take out by hand: ${keys}`,
    )
  }
  return { text: edited, removed }
}

function edit(
  file: YamlFile,
  removed: readonly Obsolete[],
  section: Content | undefined,
): string | undefined {
  const eol = file.text.includes('\r\n') ? '\r\n' : '\n'
  const gone: Lines[] = []
  const edits: Edit[] = []
  let failed = false
  const comment = (item: unknown, why: string, instead?: Content) => {
    const lines = linesOf(file.text, item)
    if (!lines) {
      failed = true
      return
    }
    gone.push(lines)
    const parts = [`${lines.indent}# Postern: ${why}`, asComment(file.text, lines)]
    if (instead) parts.push(renderYaml(instead, lines.indent).replaceAll('\n', eol))
    edits.push({ from: lines.from, to: lines.to, text: parts.join(eol) })
  }

  for (const [key, parts] of Map.groupBy(removed, ({ path }) => path[0])) {
    const why = [...new Set(parts.map((part) => part.why))].join(' ')
    for (const pair of pairsOf(file.root, key)) {
      const rest = without(contentOf(file, pair), parts)
      const items = parts.map(({ path }) => ownItem(file.text, pair, path[1]))
      if (rest === undefined) comment(pair, why)
      else if (items.every((item) => item !== undefined))
        items.forEach((item, index) => {
          comment(item, parts[index]?.why ?? why)
        })
      else comment(pair, why, { [key]: rest })
    }
  }

  const [modules] = pairsOf(file.root, 'modules')
  const lines = modules && linesOf(file.text, modules)
  if (
    lines &&
    !gone.some(({ from }) => from === lines.from) &&
    isSeq(modules.value) &&
    modules.value.items.length > 0
  )
    edits.push({
      from: lines.from,
      to: lines.from,
      text: `${lines.indent}# Postern: ${MODULES_COMMENT}${eol}`,
    })

  const own = pairsOf(file.root, SECTION)
  own.forEach((pair, index) => {
    const isLast = index === own.length - 1
    if (section && isLast) comment(pair, 'Replaced by what follows.', { [SECTION]: section })
    else comment(pair, 'Replaced by a later one.')
  })
  if (section && own.length === 0)
    edits.push(
      appendEdit(
        file,
        (indent) => {
          const comments = SECTION_COMMENT.map((line) => `${indent}# ${line}`)
          return ['', ...comments, renderYaml({ [SECTION]: section }, indent)]
            .join('\n')
            .replaceAll('\n', eol)
        },
        eol,
      ),
    )
  return failed ? undefined : applyEdits(file.text, [...edits, ...rescueAliases(file, gone)])
}

function expectedContent(
  value: Content,
  removed: readonly Obsolete[],
  section: Content | undefined,
): Content {
  const expected = { ...value }
  for (const [key, parts] of Map.groupBy(removed, ({ path }) => path[0])) {
    const rest = without(expected[key], parts)
    if (rest === undefined) delete expected[key]
    else expected[key] = rest
  }
  delete expected[SECTION]
  return section ? { ...expected, [SECTION]: section } : expected
}
