import { PosternError } from '../errors.ts'

/** Everything that is wrong with what the operator puts on the pages, one problem a line: none of it is used. */
export class BrandingError extends PosternError {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super('branding_invalid', problems.join('\n'), { status: 500 })
    this.problems = problems
  }
}
