import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { signIns } from '../conversations.ts'
import { load } from '../load.ts'
import { medianOf, type Row } from '../result.ts'
import { inTurns } from '../rounds.ts'

const AT_ONCE = 8
/** In rounds. */
const WARM_UP = 4

/** How many argon2 checks a second a process does that does nothing else. */
async function bareChecks(port: number, seconds: number): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`${AT_ONCE} ${seconds * 1000}`)
  return Number(await text(socket))
}

export const signInRow: Row = {
  name: 'sign-in',
  async measure(bench) {
    const { tokens, seconds } = bench.options
    const [service, argon2] = [await bench.serviceWith(tokens), await bench.bareArgon2()]
    // Thirty a second warm nothing up: V8 compiles what has run some hundred times.
    await load(service.port, AT_ONCE, WARM_UP * seconds, signIns(tokens))
    const rounds = await inTurns(
      bench.options,
      () => bareChecks(argon2, seconds),
      () => load(service.port, AT_ONCE, seconds, signIns(tokens)),
    )
    const ratio = medianOf(rounds, ({ first, second }) => second.perSecond / first)
    const perSecond = medianOf(rounds, ({ second }) => second.perSecond)
    const bare = medianOf(rounds, ({ first }) => first)
    return [
      {
        what: `password sign-in, ${AT_ONCE} at once`,
        target: '0.90 of bare argon2 with the same parameters',
        measured: `${ratio.toFixed(2)} (${perSecond.toFixed(1)}/s of ${bare.toFixed(1)}/s)`,
        reached: ratio >= 0.9,
      },
    ]
  },
}
