import { type Field, isField, policyKinds, variablesOf } from '../../src/policy/kinds.ts'

const BEGIN = '<!-- inputs: generated from src/policy/kinds.ts -->'
const END = '<!-- end of inputs -->'

function row(name: string, { type, doc }: Field): string {
  return `| \`${name}\` | ${type === 'list<string>' ? 'list of strings' : type} | ${doc} |`
}

/** A page with the inputs of every decision as tables, between its two marks. */
export function withInputTables(page: string): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`The page has no marks "${BEGIN}" and "${END}"`)
  const tables = policyKinds.map((kind) => {
    const rows = Object.entries(variablesOf(kind)).flatMap(([name, variable]) =>
      isField(variable)
        ? [row(name, variable)]
        : Object.entries(variable).map(([key, field]) => row(`${name}.${key}`, field)),
    )
    return `### ${kind}\n\n| field | type | what it is |\n| --- | --- | --- |\n${rows.join('\n')}\n`
  })
  return `${page.slice(0, begin)}${BEGIN}\n\n${tables.join('\n')}\n${page.slice(end)}`
}
