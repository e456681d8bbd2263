import { readFile } from 'node:fs/promises'
import { passwordLogin, whoami } from './matrix-api.ts'
import type { OldWorld } from './old-world.ts'
import { OLD_PASSWORD } from './people.ts'

/** One row of the guide's table: what becomes of a kind of user. */
export interface Kind {
  who: string
  arrivesAs: string
  canSignIn: string
  tokensWork: string
}

/** The kinds of the table, and who of the test's people is one. */
const EXAMPLES: Record<string, string> = {
  'with a password': 'alice',
  administrator: 'root',
  'without a password': 'nell',
  suspended: 'susi',
  'shadow-banned': 'shade',
  locked: 'lotte',
  deactivated: 'dora',
  guest: 'guest',
  'waiting for approval (MSC3866)': 'wanda',
  'of an appservice': 'bridged',
}

/** The table as the guide has it; of each cell what stands before the explanation. */
export async function documentedKinds(): Promise<Kind[]> {
  const text = await readFile(new URL('../../../docs/migrate-from-synapse.md', import.meta.url), 'utf8')
  const [, table = ''] = /^\| who \|.*\n\|[ -|]*\n((?:\|.*\n)+)/m.exec(text) ?? []
  return table
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, who = '', ...cells] = line.split('|').map((cell) => cell.trim())
      const [arrivesAs = '', canSignIn = '', tokensWork = ''] = cells.map((cell) => cell.split(/[;:]/)[0])
      return { who, arrivesAs, canSignIn, tokensWork }
    })
}

/** The same table, as it is seen from outside after the switch. */
export async function observedKinds(world: OldWorld): Promise<Kind[]> {
  const { out } = await world.machine.run('postern user list')
  // A name, an ID, and what else there is to say.
  const users = new Map(out.split('\n').map((line) => [line.split(' ')[0], line.split(' ').slice(2)]))
  return Promise.all(
    Object.entries(EXAMPLES).map(async ([who, name]) => {
      const person = world.people[name]
      if (!person) throw new Error(`There is no ${name}`)
      const localpart = person.userId.slice(1).split(':')[0] ?? ''
      const signIn = await passwordLogin(world.homeserver.url, localpart, OLD_PASSWORD)
      const token = await whoami(world.synapse.url, person.accessToken)
      return {
        who,
        arrivesAs: arrival(users.get(localpart)),
        canSignIn: answer(signIn.status),
        tokensWork: answer(token.status),
      }
    }),
  )
}

function arrival(states: string[] | undefined): string {
  return states ? [...states, 'user'].join(' ') : 'nothing'
}

/** A token that gets a 5xx is held: apps ask again later and keep their keys. */
function answer(status: number): string {
  if (status === 200) return 'yes'
  return status >= 500 ? 'held' : 'no'
}
