import { setTimeout as delay } from 'node:timers/promises'
import { openSignInPage, passwordSignIn } from './people.ts'

// A process of its own that sends sign-ins at a steady rate, whatever the answers, and prints what came of them:
// node flood.ts <api|page> <base> <per second> <seconds> <name…>

const [door, base = '', rate, seconds, ...names] = process.argv.slice(2)
const signIn = door === 'page' ? await openSignInPage(base) : (name: string) => passwordSignIn(base, name)
const perSecond = Number(rate)
/** Never more than this at a time, however late this process is itself. */
const MOST_AT_ONCE = 500

const statuses: Record<string, number> = {}
const refusals: number[] = []
let open = 0

async function attempt(index: number): Promise<void> {
  open++
  const before = performance.now()
  const answer = await signIn(names[index % names.length] ?? '')
  if (answer instanceof Response) await answer.arrayBuffer().catch(() => undefined)
  const status = String(answer?.status ?? 0)
  statuses[status] = (statuses[status] ?? 0) + 1
  if (status === '503') refusals.push(performance.now() - before)
  open--
}

const started = performance.now()
let sent = 0
for (;;) {
  const elapsed = (performance.now() - started) / 1000
  if (elapsed > Number(seconds)) break
  for (const due = elapsed * perSecond; sent < due && open < MOST_AT_ONCE; sent++) void attempt(sent)
  sent = Math.max(sent, Math.floor(elapsed * perSecond))
  await delay(5)
}
while (open > 0) await delay(10)
const medianRefusal = refusals.sort((a, b) => a - b)[Math.floor(refusals.length / 2)]
process.stdout.write(JSON.stringify({ statuses, medianRefusal }))
