import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asToken } from './appservices.ts'
import { freePort } from './free-port.ts'
import { type PythonDriver, startPython } from './python.ts'
import { SERVER_NAME } from './stack.ts'

/** A bridge as its registration file describes it. */
export interface BridgeRegistration extends Record<string, unknown> {
  id: string
  as_token: string
  hs_token: string
  /** Where Synapse brings it events. */
  url: string
}

/** @param msc4190 its bot's device is made at the homeserver, instead of a sign-in */
export async function registration(id: string, { msc4190 = false } = {}): Promise<BridgeRegistration> {
  return {
    id,
    url: `http://127.0.0.1:${await freePort()}`,
    as_token: asToken(id),
    hs_token: `hs-token-of-${id}`,
    // Not the bot: Synapse has no /sync for this one.
    sender_localpart: `${id}_sender`,
    rate_limited: false,
    namespaces: {
      users: [{ exclusive: true, regex: `@${id}_.+:localhost\\.test` }],
      aliases: [],
      rooms: [],
    },
    ...(msc4190 ? { 'io.element.msc4190': true } : {}),
  }
}

/** A bridge built on mautrix, with its encryption, in a process of its own; its bot is `<id>_bot`. */
export async function startBridge(homeserver: string, registered: BridgeRegistration): Promise<PythonDriver> {
  const settings = {
    homeserver,
    server_name: SERVER_NAME,
    id: registered.id,
    as_token: registered.as_token,
    hs_token: registered.hs_token,
    port: Number(new URL(registered.url).port),
    msc4190: registered['io.element.msc4190'] === true,
  }
  const cwd = await mkdtemp(join(tmpdir(), 'postern-bridge-'))
  const bridge = await startPython('mautrix_bridge.py', [JSON.stringify(settings)], { cwd })
  return {
    ...bridge,
    async close() {
      await bridge.close()
      await rm(cwd, { recursive: true, force: true })
    },
  }
}
