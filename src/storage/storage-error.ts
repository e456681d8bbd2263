import { PosternError } from '../errors.ts'

/** The database cannot be used as it is, and somebody has to do something about it: `message` says what. */
export class StorageError extends PosternError {
  constructor(message: string, { detail, cause }: { detail?: string; cause?: unknown } = {}) {
    super('storage', message, { status: 500, cause, ...(detail === undefined ? {} : { detail }) })
  }
}
