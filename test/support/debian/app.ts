import type { Act, Done } from './act.ts'
import type { DebianMachine } from './machine.ts'

/** Has an app or a browser on the machine do something, from Postern's clone there: see act.ts. */
export async function runApp(machine: DebianMachine, act: Act): Promise<Done> {
  const command = '/opt/postern/node_modules/.bin/node /opt/postern/test/support/debian/act.ts'
  return JSON.parse(await machine.output(command, { env: { ACT: JSON.stringify(act) } }))
}
