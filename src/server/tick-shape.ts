import { createHook } from 'node:async_hooks'

let kept: object | undefined

/**
 * Keeps one of the objects that `process.nextTick` queues alive, and with it their hidden class. V8 forgets a class of
 * which it finds no object when it collects, and `nextTick`, which makes them by computed keys, does not learn it again:
 * every call would go through the runtime, six times as slow, and a request makes seven of them (a tenth of what
 * introspection can do). It happens to any service that is collected while it rests; `collectGarbage` makes sure of it.
 */
export function keepTickShape(): void {
  if (kept) return
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      if (type === 'TickObject') kept = resource
    },
  })
  hook.enable()
  process.nextTick(() => undefined)
  // Not from within the hook: Node.js would go on telling hooks of every promise.
  hook.disable()
}
