/** A browser without a window: keeps cookies, follows nothing by itself, reads and posts forms. */
export interface Answer {
  status: number
  headers: Headers
  body: string
  /** Where a redirect leads, made absolute. */
  location: string | undefined
  url: string
}

export interface Agent {
  get(url: string, headers?: Record<string, string>): Promise<Answer>
  post(url: string, form: Record<string, string> | string, headers?: Record<string, string>): Promise<Answer>
  /** Posts the page's form with its hidden fields, some fields filled in. */
  submit(page: Answer, fields: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  /** Follows redirects as long as they stay on this origin. */
  follow(answer: Answer): Promise<Answer>
  cookies: Map<string, { value: string; path: string; header: string }>
}

const ENTITIES: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&#x27;': "'",
}

export function unescapeHtml(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|#39|#x27);/g, (entity) => ENTITIES[entity] ?? entity)
}

/** The hidden fields and the action of a page's first form that posts. */
export function readForm(page: Answer): { action: string; hidden: Record<string, string> } {
  const form = /<form[^>]*method="post"[^>]*>[\s\S]*?<\/form>/i.exec(page.body)?.[0]
  if (!form) throw new Error(`No form on ${page.url} (${page.status}): ${page.body.slice(0, 2000)}`)
  const action = unescapeHtml(/action="([^"]*)"/.exec(form)?.[1] ?? '')
  const hidden: Record<string, string> = {}
  for (const [input] of form.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    hidden[unescapeHtml(/name="([^"]*)"/.exec(input)?.[1] ?? '')] = unescapeHtml(
      /value="([^"]*)"/.exec(input)?.[1] ?? '',
    )
  }
  return { action: new URL(action, page.url).href, hidden }
}

export function createAgent(origin: string): Agent {
  const cookies: Agent['cookies'] = new Map()

  function remember(response: Response): void {
    for (const header of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = header.split(';').map((part) => part.trim())
      const at = pair.indexOf('=')
      const name = pair.slice(0, at)
      const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? '/'
      const expires = attributes.find((one) => /^expires=/i.test(one))?.slice(8)
      if (expires && Date.parse(expires) < Date.now()) cookies.delete(`${name} ${path}`)
      else cookies.set(`${name} ${path}`, { value: pair.slice(at + 1), path, header })
    }
  }

  function cookieHeader(url: string): string {
    const { pathname } = new URL(url)
    return [...cookies]
      .filter(([, cookie]) => pathname.startsWith(cookie.path))
      .map(([key, cookie]) => `${key.split(' ')[0]}=${cookie.value}`)
      .join('; ')
  }

  async function send(url: string, init: RequestInit): Promise<Answer> {
    const absolute = new URL(url, origin).href
    const headers = new Headers({ accept: 'text/html,*/*', ...(init.headers as Record<string, string>) })
    const jar = cookieHeader(absolute)
    if (jar) headers.set('cookie', jar)
    const response = await fetch(absolute, { ...init, headers, redirect: 'manual' })
    remember(response)
    const location = response.headers.get('location')
    return {
      status: response.status,
      headers: response.headers,
      body: await response.text(),
      location: location === null ? undefined : new URL(location, absolute).href,
      url: absolute,
    }
  }

  const get: Agent['get'] = (url, headers = {}) => send(url, { headers })
  const post: Agent['post'] = (url, form, headers = {}) =>
    send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    })

  return {
    cookies,
    get,
    post,
    submit(page, fields, headers) {
      const { action, hidden } = readForm(page)
      return post(action, { ...hidden, ...fields }, headers)
    },
    async follow(answer) {
      let current = answer
      for (let hops = 0; hops < 10 && current.location?.startsWith(new URL(origin).origin); hops++) {
        current = await get(current.location)
      }
      return current
    },
  }
}
