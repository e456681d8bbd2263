import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Networks } from './environment.ts'
import { PolicyError, type Problem } from './error.ts'
import { type Rule, readRuleFile } from './rule-file.ts'

/** Where the rules are, and what they may name. */
export interface PolicySource {
  /** Absent where the operator has no rules. */
  folder: string | undefined
  networks: Networks
}

/** Bytes. Room for a thousand rules; a file that somebody put there by mistake must not stop the service. */
const MAX_FILE = 256 * 1024
const MAX_RULES = 1000

const isYaml = (name: string) => /\.ya?ml$/.test(name) && !name.startsWith('.')
const isCases = (name: string) => /\.test\.ya?ml$/.test(name)

/** The names of a folder's files of rules, or of cases, in alphabetical order. @throws PolicyError */
export async function policyFiles(folder: string, which: 'rules' | 'cases'): Promise<string[]> {
  try {
    const names = await readdir(folder)
    return names.filter((name) => isYaml(name) && isCases(name) === (which === 'cases')).sort()
  } catch (error) {
    throw new PolicyError([unreadable(folder, error)])
  }
}

/** Reads every rule. @throws PolicyError with all that is wrong; then none of the rules may be used */
export async function loadRules({ folder, networks }: PolicySource): Promise<Rule[]> {
  if (folder === undefined) return []
  const rules: Rule[] = []
  const problems: Problem[] = []
  const seen = new Map<string, Rule>()
  for (const name of await policyFiles(folder, 'rules')) {
    const file = join(folder, name)
    const text = await readPolicyFile(file)
    const read =
      typeof text === 'string' ? readRuleFile(text, file, networks) : { rules: [], problems: [text] }
    problems.push(...read.problems)
    for (const rule of read.rules) {
      const twin = seen.get(rule.id)
      if (twin) problems.push(twice(rule, twin))
      seen.set(rule.id, rule)
      rules.push(rule)
    }
    if (rules.length > MAX_RULES) problems.push(at(file, `brings the rules to more than ${MAX_RULES}`))
    // Each further file would take as long again.
    if (rules.length > MAX_RULES) break
  }
  if (problems.length > 0) throw new PolicyError(problems)
  return rules
}

function twice({ file, line, id }: Rule, other: Rule): Problem {
  const message = `the id ${id} is taken by a rule in ${other.file}:${other.line}; each rule needs its own`
  return { file, line, column: 1, message, excerpt: '' }
}

/** What a file of rules or cases says, or why it cannot be used. */
export async function readPolicyFile(file: string): Promise<string | Problem> {
  try {
    const found = await stat(file)
    // A named pipe would be waited for, and every later reload behind it.
    if (!found.isFile()) return at(file, 'is no file')
    if (found.size > MAX_FILE) return at(file, `is larger than ${MAX_FILE / 1024} KiB`)
    return await readFile(file, 'utf8')
  } catch (error) {
    return unreadable(file, error)
  }
}

function at(file: string, message: string): Problem {
  return { file, line: 1, column: 1, message, excerpt: '' }
}

function unreadable(path: string, error: unknown): Problem {
  return at(path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
}
