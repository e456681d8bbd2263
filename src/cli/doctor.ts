import type { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { Context } from './context.ts'

const MARKS = { ok: 'ok     ', problem: 'PROBLEM', skipped: 'skipped' }

export function addDoctor(program: Command, { terminal, config }: Context): void {
  program
    .command('doctor')
    .description('check everything around the service, and say what to do about what is wrong')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: true }) => {
      const { examine } = await import('../doctor/doctor.ts')
      const { commandLog } = await import('./log.ts')
      const findings = await examine({ config: await config(), fetch, now: systemClock.now }, commandLog())
      if (json) terminal.print(JSON.stringify(findings, null, 2))
      else
        for (const { check, state, what, todo } of findings) {
          terminal.print(`${MARKS[state]} ${check}: ${what}`)
          if (todo) terminal.print(`        ${todo}.`)
        }
      const problems = findings.filter(({ state }) => state === 'problem').length
      if (problems > 0)
        throw new PosternError(
          'unwell',
          problems === 1 ? '1 problem was found' : `${problems} problems were found`,
        )
    })
}
