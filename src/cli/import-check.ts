import type { Command } from 'commander'
import { PosternError } from '../errors.ts'
import type { Context } from './context.ts'
import { addImportOptions, type ImportCommandOptions, runImport } from './import-options.ts'
import { printReport } from './import-report.ts'

export function addImportCheck(parent: Command, context: Context): void {
  const command = parent
    .command('check')
    .description(
      'look at a Synapse, running or not, and say what would be moved, and what is wrong; changes nothing',
    )
  addImportOptions(command).action(async (options: ImportCommandOptions) => {
    const report = await runImport(context, options, 'check')
    if (options.json) context.terminal.print(JSON.stringify(report))
    else printReport(context.terminal, report)
    const errors = report.findings.filter(({ level }) => level === 'error').length
    if (errors > 0)
      throw new PosternError(
        'import_check',
        `${errors === 1 ? 'One error' : `${errors} errors`} to mend before the run`,
      )
  })
}
