import type { Mutation } from './mutations.ts'

const LOG = (title: string) => ({ file: 'test/http/log-secrets.test.ts', title })
const TRACE = (title: string) => ({ file: 'test/http/tracing.test.ts', title })

export const telemetryMutations: Mutation[] = [
  {
    breaks: 'logs the path of a request, which may be a set-up link',
    file: 'src/server/middleware/request-context.ts',
    find: 'log.debug({ method: ctx.method,',
    replace: 'log.debug({ path: ctx.path, method: ctx.method,',
    test: LOG('the set-up link'),
  },
  {
    breaks: 'logs the secret that a homeserver repeats',
    file: 'src/homeserver/transport.ts',
    find: "text.replaceAll(secret, '[secret]')",
    replace: 'text',
    test: LOG('a homeserver that fails and repeats'),
  },
  {
    breaks: 'writes the path of a request into its span',
    file: 'src/telemetry/spans/requests.ts',
    find: "facts: { 'http.request.method': method },",
    replace: "facts: { 'http.request.method': method, 'url.path': req.url ?? '' },",
    test: TRACE('nothing that a person typed'),
  },
  {
    breaks: 'lets strangers decide on traces',
    file: 'src/telemetry/spans/requests.ts',
    find: "typeof given === 'string' && isTrusted(req.socket)",
    replace: "typeof given === 'string'",
    test: TRACE('a traceparent from anybody but a trusted peer'),
  },
  {
    breaks: 'lets strangers name their requests',
    file: 'src/server/door/request-id.ts',
    find: ' && deps.isTrusted(request.socket)',
    replace: '',
    test: { file: 'test/http/request-id.test.ts', title: 'from anybody else' },
  },
]
