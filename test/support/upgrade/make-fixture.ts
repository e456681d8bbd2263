// Makes the database of this version as `test/fixtures/<version>.backup`, with what stands in it as `<version>.json`:
// node test/support/upgrade/make-fixture.ts. Run once for each release; fixtures of older releases never change.
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { spawnCommand } from '../command.ts'
import { compatSession, obtainLoginToken, tokenLogin } from '../compat.ts'
import { startFakeHomeserver } from '../fake-homeserver.ts'
import { createService, removeFolder, SECRET } from '../faults/service.ts'
import { obtainTokens, PASSWORD, registerClient } from '../oauth.ts'
import type { TestPostern } from '../postern.ts'
import type { Fixture } from './fixture.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url))
const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'))

const homeserver = await startFakeHomeserver({ secret: SECRET })
const service = await createService({ homeserver: homeserver.url })
await service.start()
// All that these helpers look at.
const postern = { url: service.url } as TestPostern

const command = async (...args: string[]) => {
  const result = await spawnCommand(['--config', service.configFile, ...args], {
    cwd: service.folder,
    input: `${PASSWORD}\n`,
  })
  if (result.code !== 0) throw new Error(`${args.join(' ')}: ${result.err}`)
}
for (const user of ['alice', 'locked', 'gone']) await command('user', 'add', user, '--password-stdin')
const clientId = await registerClient(postern)
const oauth = await obtainTokens(postern, clientId, 'alice')
const compat = await compatSession(postern, 'alice', { refresh_token: true, device_id: 'COMPAT' })
const forever = await compatSession(postern, 'alice', { device_id: 'FOREVER' })
const locked = await compatSession(postern, 'locked')
await tokenLogin(postern, await obtainLoginToken(postern, 'alice'))
await command('user', 'lock', 'locked')
await command('user', 'deactivate', 'gone')
await command('database', 'backup', `${fixtures}${version}.backup`)

const fixture: Fixture = {
  clientId,
  password: PASSWORD,
  oauthRefreshToken: oauth.refresh_token,
  compatRefreshToken: compat.refresh_token,
  accessTokenForEver: forever.access_token,
  accessTokenOfLocked: locked.access_token,
}
await writeFile(`${fixtures}${version}.json`, `${JSON.stringify(fixture, null, 2)}\n`)
await service.stop()
await homeserver.stop()
await removeFolder(service.folder)
