import type { Histogram } from './counts.ts'

type Labels = Readonly<Record<string, string | number>>

/** One metric with its samples, in the terms of Prometheus's text format 0.0.4. */
export type Family =
  | { name: string; help: string; type: 'counter' | 'gauge'; samples: readonly [Labels, number][] }
  | { name: string; help: string; type: 'histogram'; histogram: Histogram }

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** What a Prometheus reads. */
export function renderMetrics(families: readonly Family[]): string {
  return families.map((family) => `${renderFamily(family).join('\n')}\n`).join('')
}

function renderFamily(family: Family): string[] {
  const { name } = family
  const head = [`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`]
  if (family.type !== 'histogram')
    return [...head, ...family.samples.map(([labels, value]) => `${name}${renderLabels(labels)} ${value}`)]
  const { bounds, cumulative, sum, count } = family.histogram.read()
  return [
    ...head,
    ...bounds.map((bound, index) => `${name}_bucket{le="${bound}"} ${cumulative[index]}`),
    `${name}_bucket{le="+Inf"} ${count}`,
    `${name}_sum ${sum}`,
    `${name}_count ${count}`,
  ]
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = String(value).replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))
    return `${name}="${escaped}"`
  })
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
