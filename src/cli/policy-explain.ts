import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { PosternError } from '../errors.ts'
import { parsePolicyDocument } from '../policy/document.ts'
import { networksValue } from '../policy/environment.ts'
import { PolicyError } from '../policy/error.ts'
import { evaluateRules } from '../policy/evaluate.ts'
import { readPolicyInput } from '../policy/input.ts'
import { type PolicyInput, type PolicyKind, policyKinds } from '../policy/kinds.ts'
import { loadRules } from '../policy/load.ts'
import type { Context } from './context.ts'

export function addPolicyExplain(parent: Command, { terminal, config }: Context): void {
  parent
    .command('explain')
    .description('show what the rules decide, and which of them decided it')
    .addOption(new Option('--on <kind>', 'the decision').choices(policyKinds).makeOptionMandatory())
    .requiredOption(
      '--input <file>',
      'a YAML or JSON file with what the decision is made from; - is standard input',
    )
    .action(async ({ on, input: file }: { on: PolicyKind; input: string }) => {
      const { policies } = await config()
      const rules = await loadRules(policies)
      const text = file === '-' ? await terminal.readInput() : await readText(resolve(terminal.cwd, file))
      const { outcome, message, matched, violations, limit } = evaluateRules(
        rules,
        on,
        readInput(text, file, on),
        networksValue(policies.networks),
      )
      terminal.print(`decision: ${outcome}`)
      if (message !== undefined) terminal.print(`message: ${message}`)
      if (limit) {
        terminal.print(
          `limit: soft ${limit.soft ?? 'none'}, hard ${limit.hard ?? 'none'}, at hard ${limit.atHard}`,
        )
      }
      for (const rule of rules.filter((one) => one.on === on)) {
        const failure = violations.find(({ id }) => id === rule.id)?.failure
        const effect = rule.outcome ?? 'limit'
        const said = matched.includes(rule.id) ? `matches: ${effect}` : `does not match (${effect})`
        terminal.print(
          `${rule.id} (${rule.file}:${rule.line}): ${failure ? `failed, denies: ${failure}` : said}`,
        )
      }
    })
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new PosternError('input_unreadable', `${path} cannot be read (${error.code})`)
  })
}

function readInput(text: string, file: string, kind: PolicyKind): PolicyInput {
  const document = parsePolicyDocument(text, file)
  const read = 'problems' in document ? document : readPolicyInput(document, [], kind, document.value)
  if ('problems' in read) throw new PolicyError(read.problems)
  return read.input
}
