import type { Command } from 'commander'
import type { Context } from './context.ts'
import { addImportOptions, type ImportCommandOptions, runImport } from './import-options.ts'
import { printReport } from './import-report.ts'

export function addImportRun(parent: Command, context: Context): void {
  const command = parent
    .command('run')
    .description("move a stopped Synapse's users, passwords, addresses, devices and tokens here")
    .option('--dry-run', 'do everything but keep it; works beside a Synapse that runs')
  addImportOptions(command).action(async (options: ImportCommandOptions & { dryRun?: boolean }) => {
    const report = await runImport(context, options, options.dryRun ? 'dry-run' : 'run')
    if (options.json) context.terminal.print(JSON.stringify(report))
    else printReport(context.terminal, report)
  })
}
