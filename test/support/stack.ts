import { stringify } from 'yaml'
import { freePort } from './free-port.ts'
import { type PosternOptions, startPostern, type TestPostern } from './postern.ts'
import { type ProxyName, type RunningProxy, startDocumentedProxy } from './proxies.ts'
import { type RunningSynapse, type SynapseOptions, startSynapse } from './synapse.ts'

const SECRET = 'shared-by-both'
export const SERVER_NAME = 'localhost.test'

/** A homeserver as people run it: a real Synapse and Postern behind a real reverse proxy. */
export interface Stack {
  postern: TestPostern
  synapse: RunningSynapse
  proxy: RunningProxy
  /** The homeserver's public address, as apps know it, without a slash at the end. */
  homeserver: string
  /** Another proxy in front of the same two; the homeserver's address there. */
  besides(name: ProxyName): Promise<{ homeserver: string; stop(): Promise<void> }>
  /** Postern's public address, ending with a slash. */
  auth: string
  stop(): Promise<void>
}

export interface StackOptions {
  proxy?: ProxyName
  config?: PosternOptions['config']
  /** Further options of Synapse; the proxy knows the tokens of its appservices. */
  synapse?: Pick<SynapseOptions, 'appservices' | 'config'>
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { proxy: name = 'nginx', config = {}, synapse: further = {} } = options
  const ports = { matrix: await freePort(), auth: await freePort(), site: await freePort() }
  const [synapsePort, posternPort] = [await freePort(), await freePort()]
  const homeserver = `http://localhost:${ports.matrix}`
  const auth = `http://localhost:${ports.auth}/`

  const postern = await startPostern({
    homeserver: { endpoint: `http://127.0.0.1:${synapsePort}/`, secret: SECRET, serverName: SERVER_NAME },
    config: {
      ...config,
      http: { public_url: auth, listeners: [{ host: '127.0.0.1', port: posternPort }], ...config.http },
      matrix: { request_timeout: 20, ...config.matrix },
    },
  })
  const synapse = await startSynapse({
    ...further,
    port: synapsePort,
    serverName: SERVER_NAME,
    delegated: { endpoint: `http://127.0.0.1:${posternPort}/`, secret: SECRET },
    config: { public_baseurl: `${homeserver}/`, ...further.config },
  })
  const behind = {
    synapse: `127.0.0.1:${synapsePort}`,
    postern: `127.0.0.1:${posternPort}`,
    registrations: (further.appservices ?? []).map((one) => stringify(one)),
  }
  const proxy = await startDocumentedProxy(name, { ...behind, ports })
  return {
    postern: { ...postern, url: auth },
    synapse,
    proxy,
    homeserver,
    auth,
    async besides(other) {
      const free = { matrix: await freePort(), auth: await freePort(), site: await freePort() }
      const { stop } = await startDocumentedProxy(other, { ...behind, ports: free })
      return { homeserver: `http://localhost:${free.matrix}`, stop }
    },
    async stop() {
      await proxy.stop()
      await synapse.stop()
      await postern.close()
    },
  }
}
