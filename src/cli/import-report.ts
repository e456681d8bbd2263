import type { ImportReport } from '../import/synapse/import.ts'
import type { Terminal } from './terminal.ts'

const HEADS = {
  check: ['table', 'rows', 'to move', 'here already', 'set aside'],
  'dry-run': ['table', 'rows', 'would move', 'here already', 'set aside'],
  run: ['table', 'rows', 'moved', 'here already', 'set aside'],
} as const

/** Prints a report for people. */
export function printReport({ print }: Pick<Terminal, 'print'>, report: ImportReport): void {
  const { mode, counts, users, setAside, findings } = report
  print(`Synapse ${report.serverName}, database ${report.database}`)
  print('')
  const rows = Object.entries(counts).map(([table, { read, moved, known, setAside: aside }]) =>
    [table, read, moved, known, aside].map(String),
  )
  for (const row of [HEADS[mode], ...rows]) {
    print(row.map((cell, column) => (column === 0 ? cell.padEnd(20) : cell.padStart(14))).join(''))
  }
  print('')
  const kinds = [
    `${users.withPassword} users with a password`,
    `${users.withoutPassword} without`,
    `${users.admins} administrators`,
    `${users.locked} locked`,
    `${users.suspended} suspended`,
    `${users.deactivated} deactivated`,
    `${users.guests} guests`,
    `${users.appservice} of appservices`,
  ]
  print(`${kinds.join(', ')}.`)
  if (setAside.length > 0) {
    print('')
    print('Set aside:')
    for (const { table, reason, count, examples } of setAside) {
      const more = count > examples.length ? ', …' : ''
      print(`  ${table}: ${count} × ${reason} (${examples.map(short).join(', ')}${more})`)
    }
  }
  const { sessions, tokens } = report.gone
  if (sessions + tokens > 0) {
    print('')
    const verb = mode === 'run' ? 'were' : 'would be'
    print(
      `Ended in Synapse since an earlier run, so here ${verb} ended too: ${sessions} sessions, ${tokens} tokens of others.`,
    )
  }
  if (findings.length > 0) print('')
  for (const { level, message } of findings) print(`${level}: ${message}`)
  print('')
  print(closing(report))
}

function closing({ mode, seconds, estimatedSeconds }: ImportReport): string {
  if (mode !== 'run') return `Nothing was changed. A run takes about ${estimatedSeconds} s.`
  return `Moved in ${seconds} s. The rows that are set aside stand in the table import_set_aside.`
}

/** Keys come from strangers, and may be long. */
function short(key: string): string {
  return key.length > 80 ? `${key.slice(0, 79)}…` : key
}
