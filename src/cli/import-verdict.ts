import type { Verdict } from '../import/synapse/verify/verify.ts'
import type { Terminal } from './terminal.ts'

/** What is shown of a long list. */
const SHOWN = 20

const SAMPLES: Record<keyof Verdict['samples'], string> = {
  tokens: 'tokens, put to the introspection',
  users: 'users, with their password hashes byte for byte',
  devices: 'devices of those users',
  emails: 'e-mail addresses byte for byte',
}

const GOING_BACK = [
  'To go back at any time: stop Synapse, put its old homeserver.yaml back in place, take the routes to Postern out of',
  'the reverse proxy, and start Synapse. Its database was only read, so everything that was signed in before the switch',
  'is still signed in there. What people did at Postern since (new passwords, new sign-ins, renewed tokens) stays behind.',
]

/** Prints a verdict for people. */
export function printVerdict({ print }: Pick<Terminal, 'print'>, verdict: Verdict): void {
  const { counts, setAside, samples, problems, warnings } = verdict
  print(`Synapse ${verdict.serverName}, database ${verdict.database}`)
  print('')
  const rows = Object.entries(counts).map(([table, { read, moved, known, setAside: aside }]) =>
    [table, read, known, moved, aside].map(String),
  )
  for (const row of [['table', 'in Synapse', 'here', 'missing', 'set aside'], ...rows])
    print(row.map((cell, column) => (column === 0 ? cell.padEnd(20) : cell.padStart(12))).join(''))
  print('')
  if (setAside.length > 0) print('Set aside, and not moved:')
  for (const { table, reason, count } of setAside) print(`  ${table}: ${count} × ${reason}`)
  print('Compared one by one:')
  for (const [name, what] of Object.entries(SAMPLES) as [keyof typeof SAMPLES, string][]) {
    const { checked, differences } = samples[name]
    print(
      `  ${checked} ${what}: ${differences.length === 0 ? 'all as they were' : `${differences.length} differ`}`,
    )
  }
  for (const warning of warnings) print(`warning: ${warning}`)
  for (const problem of problems.slice(0, SHOWN)) print(`error: ${problem}`)
  if (problems.length > SHOWN) print(`error: and ${problems.length - SHOWN} more (--json lists them)`)
  print('')
  if (verdict.safe) print('It is safe to switch: put the edited homeserver.yaml in place, and start Synapse.')
  else
    print(
      'It is not safe to switch yet. Nothing is lost: start Synapse with its old homeserver.yaml, or mend the errors and verify again.',
    )
  print('')
  for (const line of GOING_BACK) print(line)
}
