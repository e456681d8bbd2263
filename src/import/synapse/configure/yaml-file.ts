import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  stringify,
  visit,
  type YAMLMap,
} from 'yaml'
import { HomeserverConfigError } from '../homeserver-files.ts'

/** One YAML file, as text and as what it says. */
export interface YamlFile {
  text: string
  document: Document.Parsed
  /** Undefined where the file is no mapping: Synapse ignores such a file. */
  root: YAMLMap | undefined
  value: Record<string, unknown>
}

/**
 * Reads YAML 1.1 as PyYAML does.
 * @param name what messages call the file
 * @throws HomeserverConfigError
 */
export function parseYamlFile(text: string, name: string): YamlFile {
  const lineCounter = new LineCounter()
  // `prettyErrors` would quote lines of the file, secrets included.
  const document = parseDocument(text, {
    version: '1.1',
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter,
  })
  const [error] = document.errors
  if (error) {
    const { line } = lineCounter.linePos(error.pos[0])
    throw new HomeserverConfigError(`${name}:${line}: is not valid YAML (${error.message.split('\n')[0]})`)
  }
  const root = isMap(document.contents) ? (document.contents as YAMLMap) : undefined
  return { text, document, root, value: root ? (document.toJS() as Record<string, unknown>) : {} }
}

/** The same file with every collection in lines of its own, where it was written as JSON or in flow style. */
export function inBlockStyle(file: YamlFile, name: string): YamlFile {
  if (!file.root?.flow) return file
  visit(file.document, {
    Collection: (_, node) => {
      if (node.items.length > 0) node.flow = false
    },
    Pair: (_, { key }) => {
      if (isScalar(key)) delete key.type
    },
  })
  return parseYamlFile(file.document.toString({ lineWidth: 0 }), name)
}

/** Text for some top-level keys. Strings are quoted, because PyYAML takes more words than one expects for numbers. */
export function renderYaml(value: Record<string, unknown>, indent: string): string {
  const text = stringify(value, {
    version: '1.1',
    lineWidth: 0,
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
  })
  return text.trimEnd().replace(/^(?=.)/gm, indent)
}
