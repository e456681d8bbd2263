/** Members of forms, queries, JSON and addresses that let somebody in, or that only two parties may know. */
const SECRET_NAMES = new Set([
  ...['password', 'new_password', 'password_again', 'current_password'],
  ...['code', 'code_verifier', 'state', 'nonce', 'device_code', 'user_code', 'request_uri', 'loginToken'],
  ...['token', 'access_token', 'refresh_token', 'id_token', 'id_token_hint'],
  ...['client_secret', 'client_assertion', 'csrf', 'session'],
])
/** Shorter values stand in a line by chance. */
const SHORTEST = 6

/** Every secret that went over the wire, by what it is. */
export interface Secrets {
  add(what: string, value: string | null | undefined): void
  /** What was found so far. */
  all(): ReadonlyMap<string, string>
  /** `fetch` that remembers the secrets in what it sends and in what it gets. */
  watch(fetch: typeof globalThis.fetch): typeof globalThis.fetch
}

export function createSecrets(): Secrets {
  /** What it is, by its value. */
  const found = new Map<string, string>()

  function add(what: string, value: string | null | undefined): void {
    if (value && value.length >= SHORTEST && !found.has(value)) found.set(value, what)
  }

  function addFrom(entries: Iterable<[string, unknown]>): void {
    for (const [name, value] of entries) {
      if (typeof value === 'object' && value !== null) addFrom(Object.entries(value))
      else if (SECRET_NAMES.has(name)) add(name, String(value))
    }
  }

  function addText(text: string): void {
    try {
      addFrom(Object.entries(JSON.parse(text)))
    } catch {
      addFrom(new URLSearchParams(text))
    }
    for (const [, name, value] of text.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g))
      addFrom([[String(name), value]])
  }

  function addAddress(address: string | null): void {
    const url = address === null ? null : URL.parse(address, 'http://localhost')
    if (!url) return
    addFrom(url.searchParams)
    addFrom(new URLSearchParams(url.hash.slice(1)))
    const secret = /^\/(?:setup|interaction|link|authorize)\/([^/]+)$/.exec(url.pathname)?.[1]
    if (secret !== 'done') add('a part of the path', secret)
  }

  return {
    add,
    all: () => found,
    watch: (fetch) => async (input, init) => {
      addAddress(String(input))
      const headers = new Headers(init?.headers)
      const authorization = headers.get('authorization')
      add('authorization', authorization?.split(' ')[1])
      for (const pair of headers.get('cookie')?.split('; ') ?? []) add('cookie', pair.split('=')[1])
      if (typeof init?.body === 'string') addText(init.body)
      const response = await fetch(input, init)
      addAddress(response.headers.get('location'))
      for (const cookie of response.headers.getSetCookie()) add('cookie', /=([^;]*)/.exec(cookie)?.[1])
      addText(await response.clone().text())
      return response
    },
  }
}

/** The ways in which a text may stand somewhere, encoded by mistake or by a library. */
function disguises(value: string): string[] {
  const bytes = Buffer.from(value)
  // Within something longer it may begin at each of three places, with its ends mixed into what stands beside it.
  const shifted = [0, 1, 2].flatMap((shift) => {
    const padded = Buffer.concat([Buffer.alloc(shift), bytes])
    const inner = (text: string) => text.replace(/=+$/, '').slice(shift === 0 ? 0 : 4, -4)
    return [inner(padded.toString('base64')), inner(padded.toString('base64url'))]
  })
  const escaped = JSON.stringify(value).slice(1, -1)
  const encoded = [encodeURIComponent(value), new URLSearchParams({ x: value }).toString().slice(2)]
  const hex = bytes.toString('hex')
  return [
    value,
    escaped,
    JSON.stringify(escaped).slice(1, -1),
    ...encoded,
    hex,
    hex.toUpperCase(),
    ...shifted,
  ]
}

/** The secrets that stand in lines, in any disguise, with the line. */
export function leaks(lines: readonly string[], secrets: ReadonlyMap<string, string>): string[] {
  const text = lines.join('\n')
  return [...secrets].flatMap(([value, what]) => {
    const shown = disguises(value).find((one) => one.length >= SHORTEST && text.includes(one))
    if (shown === undefined) return []
    return [`${what} (${shown}) in ${lines.find((line) => line.includes(shown))}`]
  })
}
