import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createImageStore, type ImageConfig, type ImageStore, stopped } from '../support/debian/container.ts'
import { freePort } from '../support/free-port.ts'

const containerfile = fileURLToPath(new URL('../../deploy/Containerfile', import.meta.url))

let images: ImageStore
let config: ImageConfig
let server: ChildProcess | undefined

beforeAll(async () => {
  const base = /^FROM (\S+) AS/m.exec(await readFile(containerfile, 'utf8'))?.[1] ?? ''
  images = await createImageStore(base)
  config = await images.build()
})
afterAll(async () => {
  if (server) await stopped(server)
  await images?.close()
})

test('the image runs as an account without rights, and carries no development tools', async () => {
  expect(config).toMatchObject({
    User: 'node',
    Entrypoint: ['node', '--max-semi-space-size=16', '--use-largepages=silent', 'src/main.ts'],
    Cmd: ['server'],
  })
  const modules = await images.run(['ls', 'node_modules'], config.User)
  expect(modules.split('\n')).toContain('oidc-provider')
  expect(modules.split('\n')).not.toContain('vitest')
  await expect(images.run(['touch', 'src/probe'], config.User)).rejects.toThrow('Permission denied')
})

test('the service in the image starts, is healthy by the image’s own check, and ends', async () => {
  const port = await freePort()
  server = images.start([...config.Entrypoint, ...config.Cmd], config.User, {
    POSTERN_HTTP__PUBLIC_URL: 'https://auth.example.org/',
    POSTERN_HTTP__LISTENERS: `[{ host: 127.0.0.1, port: ${port} }]`,
  })
  let said = ''
  server.stderr?.on('data', (chunk) => {
    said += chunk
  })
  await expect
    .poll(() => said, { timeout: 120_000 })
    .toContain('Postern is ready at https://auth.example.org/')
  const [kind, ...check] = config.Healthcheck.Test
  expect(kind).toBe('CMD')
  // Its network is the host's here, where 8080 may be taken.
  await images.run(
    check.map((word) => word.replace('127.0.0.1:8080', `127.0.0.1:${port}`)),
    config.User,
  )
})
