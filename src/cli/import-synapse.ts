import type { Command } from 'commander'
import type { Context } from './context.ts'
import { addImportCheck } from './import-check.ts'
import { addImportConfigure } from './import-configure.ts'
import { addImportRun } from './import-run.ts'
import { addImportVerify } from './import-verify.ts'

export function addImportSynapse(parent: Command, context: Context): void {
  const synapse = parent.command('synapse').description('move a Synapse over')
  addImportConfigure(synapse, context)
  addImportCheck(synapse, context)
  addImportRun(synapse, context)
  addImportVerify(synapse, context)
}
