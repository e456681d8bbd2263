import { PosternError } from '../errors.ts'

/** Everything that is wrong with the configuration, one problem a line: where, which key, what, what to write. */
export class ConfigError extends PosternError {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super('config_invalid', problems.join('\n'), { status: 500 })
    this.problems = problems
  }
}
