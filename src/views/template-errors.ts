import nunjucks from 'nunjucks'

// nunjucks tells the line where a template failed, but names a template that has nothing to do with it: of those that
// extend or include others, the rest runs inside of the others. So environments that are made to trace errors (`dev`)
// compile templates in a way that says at each step which template it is in.

/** Where a template failed. */
export interface TemplatePlace {
  path: string
  /** From 1. */
  line: number
}

const PLACE = Symbol('place')

interface Failure extends Error {
  [PLACE]?: TemplatePlace
}

type Step = (...args: never[]) => unknown
type Steps = Record<string, Step>

interface Runtime {
  handleError(error: Failure, line: number | null, column: number | null): Failure
  /** Ours: the steps of the template of this number, of which the last call was in this line. */
  at?: (template: number, line: number) => Steps
}

interface Compiler {
  compile(
    source: string,
    filters: unknown,
    extensions: unknown,
    path: string,
    options: { dev?: boolean },
  ): string
}

/** Where a template failed, by what it threw; undefined where it is not known. */
export function placeOf(error: unknown): TemplatePlace | undefined {
  return (error as Failure)[PLACE]
}

const runtime = nunjucks.runtime as unknown as Runtime
const steps = nunjucks.runtime as unknown as Steps
const compiler = (nunjucks as unknown as { compiler: Compiler }).compiler
const original = { handleError: runtime.handleError, compile: compiler.compile }

/** What a template may fail in. */
const STEPS = ['ensureDefined', 'callWrap', 'memberLookup', 'contextOrFrameLookup']
const STEP = new RegExp(`\\bruntime\\.(?=(?:${STEPS.join('|')})\\()`, 'g')

/** The files of traced templates; compiled code names them by their number here. */
const paths: string[] = []

function numberOf(path: string): number {
  const known = paths.indexOf(path)
  return known >= 0 ? known : paths.push(path) - 1
}

// Where a template has these very words as its text, they change: but to nothing that could end the text they are in.
compiler.compile = (source, filters, extensions, path, options) => {
  const compiled = original.compile(source, filters, extensions, path, options)
  return options.dev ? compiled.replace(STEP, `runtime.at(${numberOf(path)}, lineno).`) : compiled
}

runtime.at = (template, line) =>
  Object.fromEntries(
    STEPS.map((name) => [
      name,
      (...args: never[]) => {
        try {
          return steps[name]!(...args)
        } catch (error) {
          // nunjucks' own errors know their line; counted from 1, as this one is to be.
          const failure = error as Failure & { lineno?: number }
          failure[PLACE] ??= { path: paths[template]!, line: failure.lineno ?? line + 1 }
          throw failure
        }
      },
    ]),
  )

runtime.handleError = (error, line, column) => {
  const from1 = (count: number | null) => (count === null ? null : count + 1)
  const failure = original.handleError(error, from1(line), from1(column))
  const place = placeOf(error)
  if (place) failure[PLACE] ??= place
  return failure
}
