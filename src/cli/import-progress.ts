import type { MoveProgress } from '../import/synapse/move/move.ts'
import type { Terminal } from './terminal.ts'

/** How often a line is drawn over on a screen, and how often a plain one is written elsewhere, in milliseconds. */
const DRAW_MS = 100
const LINE_MS = 5_000
const BAR_WIDTH = 24

/** A bar with rate and time left for each table on a screen; elsewhere a plain line every few seconds. */
export function showProgress(
  terminal: Pick<Terminal, 'note' | 'draw'>,
  { quiet, now = () => performance.now() }: { quiet: boolean; now?: () => number },
): MoveProgress & { end(): void } {
  const { draw } = terminal
  let table: { name: string; total: number; count: number; since: number } | undefined
  let shown = -Infinity

  const finish = () => {
    if (!table) return
    // What came is the whole.
    show({ ...table, total: table.count })
    if (draw) draw('\n')
    table = undefined
  }
  const show = (current: NonNullable<typeof table>) => {
    const line = lineOf(current, now() - current.since, draw !== undefined)
    if (draw) draw(`\r${line}\x1b[K`)
    else terminal.note(line)
    shown = now()
  }
  if (quiet)
    return { table: () => undefined, rows: () => undefined, step: () => undefined, end: () => undefined }
  return {
    table(name, total) {
      finish()
      table = { name, total, count: 0, since: now() }
      shown = draw ? -Infinity : now()
    },
    rows(count) {
      if (!table) return
      table.count = count
      if (now() - shown >= (draw ? DRAW_MS : LINE_MS)) show(table)
    },
    step(name) {
      finish()
      terminal.note(name)
    },
    end: finish,
  }
}

function lineOf(
  { name, total, count }: { name: string; total: number; count: number },
  milliseconds: number,
  withBar: boolean,
): string {
  // The total is an estimate, which may fall short.
  const whole = Math.max(total, count)
  const part = whole === 0 ? 1 : count / whole
  const rate = milliseconds > 0 ? Math.round((count / milliseconds) * 1000) : 0
  const filled = Math.round(part * BAR_WIDTH)
  const bar = withBar ? ` [${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]` : ''
  const left = rate > 0 && whole > count ? `, ${Math.ceil((whole - count) / rate)} s left` : ''
  return `${name.padEnd(18)}${bar} ${Math.floor(part * 100)} %, ${count} rows, ${rate}/s${left}`
}
