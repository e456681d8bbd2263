import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PythonDriver, startPython } from './python.ts'
import { SERVER_NAME } from './stack.ts'

export const AS_TOKEN = 'as_token-of-the-bridge'
const HS_TOKEN = 'hs_token-of-the-bridge'

/** A bridge's registration: its bot and ghosts; `port` is where Synapse brings it events. */
export function registration(port: number): Record<string, unknown> {
  return {
    id: 'bridge',
    url: `http://127.0.0.1:${port}`,
    as_token: AS_TOKEN,
    hs_token: HS_TOKEN,
    // Not the bot: Synapse has no /sync for this one.
    sender_localpart: 'bridge_sender',
    rate_limited: false,
    namespaces: {
      users: [{ exclusive: true, regex: `@(bridgebot|ghost_.*):${SERVER_NAME}` }],
      aliases: [],
      rooms: [],
    },
  }
}

/**
 * A bridge built on mautrix, with its encryption, in a process of its own.
 * @param msc4190 its bot's device is made at the homeserver, instead of a sign-in
 */
export async function startBridge(
  homeserver: string,
  { port, msc4190 = false }: { port: number; msc4190?: boolean },
): Promise<PythonDriver> {
  const settings = {
    homeserver,
    server_name: SERVER_NAME,
    as_token: AS_TOKEN,
    hs_token: HS_TOKEN,
    port,
    msc4190,
  }
  const cwd = await mkdtemp(join(tmpdir(), 'postern-bridge-'))
  return startPython('mautrix_bridge.py', [JSON.stringify(settings)], { cwd })
}
