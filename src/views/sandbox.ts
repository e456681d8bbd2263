import nunjucks from 'nunjucks'

// Templates of an operator may come from somebody else. nunjucks was not made to keep templates in: through
// `constructor` any of them would reach JavaScript's `Function`, and with it the process. Two functions of its
// runtime, which every compiled template is handed, are replaced: the lookup of a member sees data and harmless
// methods only, and the lookup of a name no inherited ones. There is one runtime for all environments, so this holds
// for our own templates too.

/** What nunjucks hands to compiled templates. */
interface Runtime {
  memberLookup(object: unknown, key: unknown): unknown
  contextOrFrameLookup(context: unknown, frame: unknown, name: string): unknown
  SafeString: new (text: string) => unknown
}

const runtime = nunjucks.runtime as unknown as Runtime
const original = { ...runtime }

/** Names by which JavaScript leads out of data. No template has a use for them. */
export const isForbiddenName = (name: string): boolean =>
  name === 'prototype' || Object.hasOwn(Object.prototype, name)

const METHODS: readonly [(value: unknown) => boolean, object][] = [
  [(value) => typeof value === 'string' || value instanceof runtime.SafeString, String.prototype],
  [(value) => typeof value === 'number', Number.prototype],
  [(value) => value instanceof Date, Date.prototype],
  [Array.isArray, Array.prototype],
]

/** What pages are given is not theirs to change: other pages may be made from it. */
const CHANGES = /^(?:push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|set[A-Z]\w*)$/

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

function lookup(object: unknown, key: unknown): unknown {
  if (object === undefined || object === null) return undefined
  const name = typeof key === 'number' ? key : String(key)
  if (typeof name === 'string' && isForbiddenName(name)) throw new Error(`Templates may not use "${name}"`)
  const methods = METHODS.find(([is]) => is(object))?.[1]
  // Functions and what has a class of its own have nothing to show.
  if (!methods && (typeof object !== 'object' || !isPlain(object))) return undefined
  const value = Object(object) as Record<string | number, unknown>
  if (Object.hasOwn(value, name)) return bound(value[name], object)
  const isMethod = methods && Object.hasOwn(methods, name) && !CHANGES.test(String(name))
  return isMethod ? bound(value[name], object) : undefined
}

function bound(value: unknown, object: unknown): unknown {
  return typeof value === 'function' ? (...args: unknown[]) => value.apply(object, args) : value
}

function keepTemplatesIn(): void {
  runtime.memberLookup = lookup
  runtime.contextOrFrameLookup = (context, frame, name) => {
    if (isForbiddenName(name)) throw new Error(`Templates may not use "${name}"`)
    return original.contextOrFrameLookup(context, frame, name)
  }
}

/** Fails loudly where an update of nunjucks goes another way than the one that is guarded. */
function selfTest(): void {
  const environment = new nunjucks.Environment([], { autoescape: true })
  const isKept = (way: string) => {
    try {
      environment.renderString(`{{ ${way} }}`, {})
      return false
    } catch {
      return true
    }
  }
  for (const way of ["''.constructor", "range['constr' ~ 'uctor']", 'constructor', '__proto__'])
    if (!isKept(way)) throw new Error(`nunjucks lets templates out by ${way}`)
}

keepTemplatesIn()
selfTest()
