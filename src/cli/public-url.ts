import { baseUrl } from '../config/kinds.ts'
import { PosternError } from '../errors.ts'

/** What `--public-url` says, ending with a slash; undefined where it is not given. Throws PosternError. */
export function parsePublicUrl(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const parsed = baseUrl.safeParse(value)
  if (parsed.success) return parsed.data
  const what = parsed.error.issues[0]?.message
  throw new PosternError(
    'public_url',
    `--public-url ${what}: write an address such as https://auth.example.org/`,
  )
}
