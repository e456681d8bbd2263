import type { Command } from 'commander'
import { PosternError } from '../errors.ts'
import { runCases } from '../policy/cases.ts'
import type { Context } from './context.ts'

export function addPolicyTest(parent: Command, { terminal, config }: Context): void {
  parent
    .command('test')
    .description('check the rules, and run the cases of the *.test.yaml files beside them')
    .action(async () => {
      const { folder, networks } = (await config()).policies
      if (folder === undefined)
        throw new PosternError('no_policies', 'Set policies.folder: there are no rules')
      const results = await runCases({ folder, networks })
      for (const { name, passed, expected, matched, failures } of results) {
        if (passed) continue
        terminal.print(`FAILED ${name}`)
        terminal.print(`  expected: ${expected.join(', ') || 'no rule'}`)
        terminal.print(`  matched:  ${matched.join(', ') || 'no rule'}`)
        for (const failure of failures) terminal.print(`  could not be evaluated: ${failure}`)
      }
      const failed = results.filter(({ passed }) => !passed).length
      if (failed > 0) throw new PosternError('cases_failed', `${failed} of ${results.length} cases failed`)
      terminal.print(`The rules are right: ${results.length} cases passed.`)
    })
}
