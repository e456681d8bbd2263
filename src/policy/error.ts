import { PosternError } from '../errors.ts'

/** Something wrong in a file of rules or cases, and where. */
export interface Problem {
  file: string
  line: number
  column: number
  message: string
  /** The line of the file that it stands in. */
  excerpt: string
}

/** Everything that is wrong with the rules: none of them is used. */
export class PolicyError extends PosternError {
  readonly problems: readonly string[]

  constructor(problems: readonly Problem[]) {
    const lines = problems.map(describeProblem)
    super('policy_invalid', lines.join('\n'), { status: 500 })
    this.problems = lines
  }
}

/** `policies/admin.yaml:4:11: message`, with the line below it and a caret under the place. */
function describeProblem({ file, line, column, message, excerpt }: Problem): string {
  const head = `${file}:${line}:${column}: ${message}`
  return excerpt === '' ? head : `${head}\n  ${excerpt}\n  ${' '.repeat(column - 1)}^`
}
