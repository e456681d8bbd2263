import { Session } from 'node:inspector/promises'

/**
 * Collects what the start left behind (source text, modules' syntax trees, the configuration's parser): V8 would keep
 * the room until something presses, and an idle service would look a quarter larger than it is.
 */
export async function collectGarbage(): Promise<void> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}
