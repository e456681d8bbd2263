import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { readHomeserverConfig } from '../../src/import/synapse/homeserver-config.ts'

let folder: string
const write = async (name: string, content: unknown) => {
  const path = join(folder, name)
  await writeFile(path, typeof content === 'string' ? content : stringify(content))
  return path
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-homeserver-config-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe("reading a Synapse's configuration", () => {
  test('later files and a folder of files, in the order of their names, replace whole top-level keys', async () => {
    const first = await write('homeserver.yaml', {
      server_name: 'example.org',
      database: { name: 'psycopg2', args: { host: 'db', user: 'synapse' } },
      password_config: { enabled: true, pepper: 'old' },
    })
    await mkdir(join(folder, 'conf.d', 'ignored.yaml'), { recursive: true })
    await write('conf.d/20-b.yaml', { password_config: { pepper: 'newest' } })
    await write('conf.d/10-a.yaml', { password_config: { pepper: 'newer', enabled: false } })
    await write('conf.d/readme.txt', 'server_name: ignored.example')
    await write('conf.d/30-empty.yaml', '# nothing')
    const config = await readHomeserverConfig(['homeserver.yaml', 'conf.d'], { cwd: folder })
    expect(config.files.map((file) => file.slice(folder.length + 1))).toEqual([
      'homeserver.yaml',
      'conf.d/10-a.yaml',
      'conf.d/20-b.yaml',
      'conf.d/30-empty.yaml',
    ])
    expect(config.serverName).toBe('example.org')
    expect(config.folder).toBe(folder)
    expect(config.passwords).toEqual({
      enabled: true,
      localDatabase: true,
      pepper: 'newest',
      bcryptRounds: undefined,
    })
    expect(config.database).toEqual({ engine: 'postgresql', args: { host: 'db', user: 'synapse' } })
    expect(config.content.password_config).toEqual({ pepper: 'newest' })
    expect((await readHomeserverConfig([first])).passwords.pepper).toBe('old')
  })

  test('listeners, appservice files and an SQLite file are found, relative to the first file', async () => {
    const path = await write(
      'sqlite.yaml',
      `
server_name: example.org
server_name: example.com
database: {name: sqlite3, args: {database: data/homeserver.db}}
app_service_config_files: [bridge.yaml, /etc/other.yaml]
password_config: {enabled: no, localdb_enabled: off}
bcrypt_rounds: 10
listeners:
  - {port: 8008, type: http, tls: yes, bind_addresses: ['::1', 127.0.0.1], resources: [{names: [client, federation]}]}
  - {path: /run/synapse.sock, resources: [{names: client}]}
  - {port: 9000, bind_addresses: ['::'], type: manhole}
`,
    )
    const config = await readHomeserverConfig([path])
    // PyYAML lets the last of two equal keys win.
    expect(config.serverName).toBe('example.com')
    expect(config.database).toEqual({ engine: 'sqlite', file: join(folder, 'data/homeserver.db') })
    expect(config.appserviceFiles).toEqual([join(folder, 'bridge.yaml'), '/etc/other.yaml'])
    expect(config.passwords).toEqual({ enabled: false, localDatabase: false, pepper: '', bcryptRounds: 10 })
    expect(config.listeners).toEqual([
      {
        type: 'http',
        port: 8008,
        socket: undefined,
        tls: true,
        addresses: ['::1', '127.0.0.1'],
        resources: ['client', 'federation'],
      },
      {
        type: 'http',
        port: undefined,
        socket: '/run/synapse.sock',
        tls: false,
        addresses: [],
        resources: ['client'],
      },
      { type: 'manhole', port: 9000, socket: undefined, tls: false, addresses: [], resources: [] },
    ])
  })

  test('of several databases the one that holds the users counts', async () => {
    const path = await write('several.yaml', {
      server_name: 'example.org',
      databases: {
        state: { name: 'psycopg2', data_stores: ['state'], args: { dbname: 'state' } },
        master: { name: 'psycopg2', data_stores: ['main'], args: { dbname: 'main' } },
      },
    })
    const { database } = await readHomeserverConfig([path])
    expect(database).toEqual({ engine: 'postgresql', args: { dbname: 'main' } })
  })

  test('what is wrong with it names the file and what to do', async () => {
    await expect(readHomeserverConfig(['/nowhere.yaml'])).rejects.toThrow(
      '/nowhere.yaml: cannot be read (ENOENT)',
    )
    const none = await write('none.yaml', { http: {} })
    await expect(readHomeserverConfig([none])).rejects.toThrow(`${none}: has no server_name; give the`)
    const broken = await write('broken.yaml', 'a: [')
    await expect(readHomeserverConfig([broken])).rejects.toThrow(`${broken}: is not valid YAML`)
    const odd = await write('odd.yaml', { server_name: 'example.org', listeners: [{ port: 'x' }] })
    await expect(readHomeserverConfig([odd])).rejects.toThrow('listeners.0.port is not what Synapse takes')
    await mkdir(join(folder, 'empty'))
    await expect(readHomeserverConfig([join(folder, 'empty')])).rejects.toThrow('there is no *.yaml in it')
  })
})
