import { performance } from 'node:perf_hooks'

/** One of two ways to the same end. `once` does it one time, as the given worker. */
export interface Way {
  name: string
  once(worker: number): Promise<void>
}

export interface Comparison {
  /** Milliseconds for one, the median of all rounds. */
  base: number
  other: number
  /** How many times as much the other costs as the base: the median of the rounds. */
  ratio: number
}

export interface Rounds {
  rounds: number
  /** How often in a round each way is gone, by all workers together. */
  perRound: number
  workers: number
}

/** Milliseconds for one of `perRound`, gone by `workers` at the same time. */
async function block(way: Way, { perRound, workers }: Rounds): Promise<number> {
  const start = performance.now()
  let left = perRound
  const work = async (worker: number) => {
    while (left-- > 0) await way.once(worker)
  }
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
  return (performance.now() - start) / perRound
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * Goes two ways in turn, so that both meet the same machine, and each first in every other round, so that neither
 * always follows the other. A round of each goes before and is not counted: the machine warms up.
 */
export async function compare(base: Way, other: Way, rounds: Rounds): Promise<Comparison> {
  await block(base, rounds)
  await block(other, rounds)
  const bases: number[] = []
  const others: number[] = []
  for (let round = 0; round < rounds.rounds; round++) {
    if (round % 2 === 0) bases.push(await block(base, rounds))
    others.push(await block(other, rounds))
    if (round % 2 === 1) bases.push(await block(base, rounds))
  }
  const ratios = others.map((time, round) => time / bases[round]!)
  return { base: median(bases), other: median(others), ratio: median(ratios) }
}
