import { stringify } from 'yaml'
import { renderConfig, type Values } from '../../../config/document.ts'
import type { HomeserverConfig } from '../homeserver-config.ts'
import { type Note, registrationOf } from './carry.ts'
import type { Upstream } from './upstream.ts'

/** What goes into Postern's configuration file. */
export interface PosternYaml {
  values: Values
  /** Said at the head of their sections. */
  notes: readonly Note[]
  upstream: Upstream
  /** What homeserver.yaml says. */
  content: HomeserverConfig['content']
}

/** The whole file, with a comment at everything that homeserver.yaml has and Postern has not. */
export function renderPosternYaml({ values, notes, upstream, content }: PosternYaml): string {
  let text = renderConfig(values)
  for (const [section, told] of Map.groupBy(notes, (note) => note.section)) {
    const lines = told.flatMap((note) =>
      wrap(`Not carried over: ${note.text}`).map((line) => `  # ${line}\n`),
    )
    text = text.replace(new RegExp(`^${section}:\n`, 'm'), (head) => head + lines.join(''))
  }
  return [text, ...appendix(upstream, content)].join('\n')
}

function appendix(upstream: Upstream, content: HomeserverConfig['content']): string[] {
  const registration = registrationOf(content)
  const parts: string[] = []
  if (Object.keys(registration).length > 0)
    parts.push(
      told(
        'Not carried over: there is no sign-up here yet. Add people with `postern user add`. homeserver.yaml says:',
      ) + asComment(registration),
    )
  if (upstream.providers.length > 0)
    parts.push(
      told(
        'Not carried over: there are no upstream providers here yet. The links of the imported users are kept by synapse_idp_id. The settings, with the redirect URI at the provider still to be changed to one of this service:',
        ...upstream.notes.map((note) => `Without a place among them: ${note}`),
      ) + asComment({ upstream_providers: upstream.providers }),
    )
  return parts
}

const told = (...texts: string[]) =>
  texts
    .flatMap(wrap)
    .map((line) => `# ${line}\n`)
    .join('')

function asComment(value: object): string {
  return stringify(value, { lineWidth: 0 }).replace(/^(?=.)/gm, '#')
}

function wrap(text: string): string[] {
  return text.replace(/\s+/g, ' ').match(/\S.{0,108}(?=\s|$)|\S+/g) ?? []
}
