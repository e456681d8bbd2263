import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { withInputTables } from '../support/policy-tables.ts'

// `npx vitest run test/http/policy-documents.test.ts -u` brings it up to date.
const page = fileURLToPath(new URL('../../docs/policies.md', import.meta.url))

test('docs/policies.md has what each decision is made from', async () => {
  await expect(withInputTables(await readFile(page, 'utf8'))).toMatchFileSnapshot(page)
})
