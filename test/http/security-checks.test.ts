import { expect, test } from 'vitest'
import { renderSecurityChecks, securityChecks, testsOfChecks } from '../support/security-checks.ts'

test('docs/security-checks.md names the tests of every check as they are', async () => {
  await expect(await renderSecurityChecks()).toMatchFileSnapshot('../../docs/security-checks.md')
})

test('every check of what exists has a test', async () => {
  const tests = await testsOfChecks()
  const without = Object.entries(securityChecks).filter(
    ([number, { later }]) => !later && !tests.has(Number(number)),
  )
  expect(without.map(([number]) => Number(number))).toEqual([])
})
