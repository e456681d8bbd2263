import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { renderConfig, withOptionTables } from '../../src/config/document.ts'
import { loadConfig } from '../../src/config/index.ts'

// `npx vitest run test/http/config-documents.test.ts -u` brings both up to date.
const sample = fileURLToPath(new URL('../../config.sample.yaml', import.meta.url))
const page = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url))

test('config.sample.yaml is what the schemas say', async () => {
  await expect(renderConfig()).toMatchFileSnapshot(sample)
})

test('docs/configuration.md has the options of the schemas', async () => {
  await expect(withOptionTables(await readFile(page, 'utf8'))).toMatchFileSnapshot(page)
})

test('the sample means the same as no file', async () => {
  const withSample = await loadConfig({ file: sample, env: {}, cwd: '/' })
  const without = await loadConfig({ env: {}, cwd: fileURLToPath(new URL('../..', import.meta.url)) })
  expect(withSample).toEqual(without)
})

test('every option of the sample can be uncommented, and has the default that it shows', async () => {
  const text = (await readFile(sample, 'utf8')).replace(/^( *)#(?! )(\w+: .+)$/gm, '$1$2')
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  await expect(loadConfig({ file: sample, env: {}, cwd })).resolves.toBeDefined()
  const values = parse(text) as Record<string, Record<string, unknown>>
  const config = await loadConfig({ env: {}, cwd: '/' })
  expect(values.http?.public_url).toBe(config.http.public_url)
  expect(values.limits).toEqual(config.limits)
  expect(values.tokens).toEqual(config.tokens)
})

test('values that are given stand in the file, uncommented', () => {
  const text = renderConfig({ http: { public_url: 'https://auth.example.org/' }, matrix: { secret: '#"x' } })
  const values = parse(text) as Record<string, unknown>
  expect(values.http).toEqual({ public_url: 'https://auth.example.org/' })
  expect(values.matrix).toEqual({ secret: '#"x' })
})
