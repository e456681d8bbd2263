import type { PlacedPath } from '../config/sections/branding.ts'
import { parseSource } from '../config/source.ts'
import { suggest } from '../config/suggest.ts'
import type { Catalogue, Texts } from '../views/index.ts'
import { catalogue as shipped } from '../views/messages.ts'
import { type FoundFile, readFolder } from './read-folder.ts'

const MAX_LENGTH = 2000

type Say = (key: string | undefined, message: string) => void

/** The operator's texts over ours, and languages that we have not. */
export async function readOwnTexts(
  folder: PlacedPath,
): Promise<{ catalogue: Catalogue; problems: string[] }> {
  const { files, problems } = await readFolder(folder)
  const catalogue: Record<string, Texts> = { ...shipped }
  for (const file of files) {
    const language = /^([a-z]{2,3})\.json$/.exec(file.name)?.[1]
    if (language === undefined || Intl.PluralRules.supportedLocalesOf(language).length === 0)
      problems.push(
        `${file.path}: is not named for a language; write two or three small letters, such as fr.json`,
      )
    else catalogue[language] = readTexts(file, language, problems)
  }
  return { catalogue, problems }
}

function readTexts(file: FoundFile, language: string, problems: string[]): Texts {
  const known = keysOf(language)
  const parsed = parse(file)
  if (typeof parsed === 'string') {
    problems.push(parsed)
    return shipped.en
  }
  const { values, lineOf } = parsed
  const say: Say = (key, message) => {
    const line = key === undefined ? 1 : lineOf(key)
    problems.push(`${file.path}:${line}: ${key === undefined ? '' : `${key}: `}${message}`)
  }
  for (const [key, value] of Object.entries(values)) {
    const problem = known.has(key) ? textProblem(key, value) : unknownKey(key, [...known])
    if (problem) say(key, problem)
  }
  const ours = Object.hasOwn(shipped, language) ? shipped[language as keyof typeof shipped] : undefined
  if (!ours) {
    const missing = [...known].filter((key) => !Object.hasOwn(values, key))
    const some = missing.slice(0, 5).join(', ')
    if (missing.length > 0)
      say(
        undefined,
        `${missing.length} ${missing.length === 1 ? 'text is' : 'texts are'} missing, and a language of your own needs all: add ${some}${missing.length > 5 ? ', …' : ''}`,
      )
  }
  return { ...ours, ...(values as Texts) }
}

function parse(
  file: FoundFile,
): { values: Record<string, unknown>; lineOf: (key: string) => number } | string {
  let values: unknown
  try {
    values = JSON.parse(file.source.replace(/^\ufeff/, ''))
  } catch (error) {
    const message = (error as Error).message
    const line = /line (\d+)/.exec(message)?.[1] ?? 1
    return `${file.path}:${line}: is not JSON (${message.split('\n')[0]}); write { "key": "text", … }`
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    return `${file.path}:1: is not a JSON object; write { "key": "text", … }`
  // JSON is YAML: its reader knows the lines, and finds keys that are there twice.
  const source = read(file)
  return typeof source === 'string' ? source : { values: values as Record<string, unknown>, lineOf: source }
}

function read(file: FoundFile): ((key: string) => number) | string {
  try {
    const { lineOf } = parseSource(file.source, file.path)
    return (key) => lineOf([key])
  } catch (error) {
    return (error as Error).message
  }
}

/** The keys that a language has: of texts that count, one for each of its plural forms. */
function keysOf(language: string): Set<string> {
  const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions()
  return new Set(
    Object.keys(shipped.en).flatMap((key) => {
      const counted = countedBase(key)
      return counted === undefined ? [key] : pluralCategories.map((form) => `${counted}_${form}`)
    }),
  )
}

/** `busy.wait_seconds` of `busy.wait_seconds_one`; nothing of texts that do not count. */
function countedBase(key: string): string | undefined {
  const base = /^(.*)_(?:zero|one|two|few|many|other)$/.exec(key)?.[1]
  return base !== undefined && Object.hasOwn(shipped.en, `${base}_other`) ? base : undefined
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = suggest(key, known)
  return meant ? `is not known; did you mean ${meant}?` : 'is not known; remove it'
}

const parametersOf = (text: string) => new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!))

function textProblem(key: string, value: unknown): string | undefined {
  if (typeof value !== 'string') return 'is not a text; write it in quotes'
  if (value.trim() === '') return 'is empty; write a text, or leave the key out to have ours'
  if (value.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters; shorten it`
  const base = countedBase(key)
  const ours = parametersOf(
    shipped.en[(base === undefined ? key : `${base}_other`) as keyof typeof shipped.en],
  )
  const theirs = parametersOf(value)
  const strange = [...theirs].find((name) => !ours.has(name))
  if (strange !== undefined)
    return `names {${strange}}, which this text is not given; ${ours.size > 0 ? `it has ${list(ours)}` : 'it has none'}`
  // "In a minute" need not say which number one is.
  const missing = [...ours].filter((name) => !theirs.has(name) && (base === undefined || name !== 'count'))
  return missing.length > 0 ? `does not say ${list(missing)}; write it where it belongs` : undefined
}

const list = (names: Iterable<string>) => [...names].map((name) => `{${name}}`).join(', ')
