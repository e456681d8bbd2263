import { cpus, release, totalmem, type } from 'node:os'
import { canPin } from './pinning.ts'
import type { Result } from './result.ts'

/** The results as a Markdown table. */
export function renderTable(results: readonly Result[]): string {
  const rows = results.map((one) => [one.what, one.target, one.measured, one.reached ? 'yes' : 'no'])
  return [['what', 'to reach', 'measured', 'reached'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

/** What the figures were taken on. */
export function describeMachine(databaseVersion: string): string {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  const where = canPin ? 'service and database on one core, load on another' : 'not bound to cores'
  return `${cpus().length} × ${cpu?.model.trim()}, ${memory} GB, ${type()} ${release()}, Node.js ${process.versions.node}, PostgreSQL ${databaseVersion}; ${where}`
}
