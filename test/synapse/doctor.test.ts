import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Config } from '../../src/config/index.ts'
import { examine } from '../../src/doctor/doctor.ts'
import { SERVER_NAME, type Stack, startStack } from '../support/stack.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack?.stop())

/** The doctor's word, where apps are told that the homeserver is there. */
async function problems(homeserver: string, changes: Partial<Config['matrix']> = {}): Promise<string[]> {
  const config = { ...stack.postern.config, matrix: { ...stack.postern.config.matrix, ...changes } }
  // The server name of the tests has no TLS; the rest is real.
  const discovery = `https://${SERVER_NAME}/.well-known/matrix/client`
  const found = await examine(
    {
      config,
      now: () => new Date(),
      fetch: async (url, init) =>
        String(url) === discovery
          ? Response.json({ 'm.homeserver': { base_url: homeserver } })
          : fetch(url, init),
    },
    pino({ level: 'silent' }),
  )
  return found.filter(({ state }) => state === 'problem').map(({ check, what }) => `${check}: ${what}`)
}

test('the doctor finds nothing wrong with a real Synapse behind the documented nginx and Caddy', async () => {
  expect(await problems(stack.homeserver)).toEqual([])
  const caddy = await stack.besides('caddy')
  try {
    expect(await problems(caddy.homeserver)).toEqual([])
  } finally {
    await caddy.stop()
  }
})

test('the doctor finds a secret that a real Synapse does not take, and routes that all lead to it', async () => {
  expect((await problems(stack.homeserver, { secret: 'another' })).join()).toContain('refused this service')
  const wrong = (await problems(stack.synapse.url)).join('\n')
  for (const route of ['GET', 'POST'])
    expect(wrong).toMatch(new RegExp(`routes: ${route} .+ does not come here \\(404 M_UNRECOGNIZED\\)`))
})
