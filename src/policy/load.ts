import { readdir, readFile } from 'node:fs/promises'
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
    const read = await readFile(file, 'utf8').then(
      (text) => readRuleFile(text, file, networks),
      (error) => ({ rules: [], problems: [unreadable(file, error)] }),
    )
    problems.push(...read.problems)
    for (const rule of read.rules) {
      const twin = seen.get(rule.id)
      if (twin) problems.push(twice(rule, twin))
      seen.set(rule.id, rule)
      rules.push(rule)
    }
  }
  if (problems.length > 0) throw new PolicyError(problems)
  return rules
}

function twice({ file, line, id }: Rule, other: Rule): Problem {
  const message = `the id ${id} is taken by a rule in ${other.file}:${other.line}; each rule needs its own`
  return { file, line, column: 1, message, excerpt: '' }
}

function unreadable(path: string, error: unknown): Problem {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  return { file: path, line: 1, column: 1, message: `cannot be read (${code})`, excerpt: '' }
}
