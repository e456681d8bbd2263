// Adds up what the runs of vitest and of the mutations reported: node summary.mjs <folder> <number of failed steps>
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [, , folder, failedSteps] = process.argv
let passed = 0
let failed = 0
for (const name of readdirSync(folder)) {
  const text = readFileSync(join(folder, name), 'utf8')
  if (name.endsWith('.json')) {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(text)
    passed += numPassedTests
    // A file that could not even be loaded has no tests that could fail.
    const brokenFiles = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
    failed += numFailedTests + brokenFiles.length
    for (const file of brokenFiles) console.log(`failed: ${file.name}: ${file.message}`)
    for (const { assertionResults } of testResults) {
      for (const test of assertionResults.filter(({ status }) => status === 'failed')) {
        console.log(`failed: ${test.fullName}: ${test.failureMessages?.[0]?.slice(0, 1000)}`)
      }
    }
  } else {
    const counts = /^mutations: (\d+) passed, (\d+) failed$/m.exec(text)
    passed += Number(counts?.[1] ?? 0)
    failed += Number(counts?.[2] ?? 0)
  }
}
// A step that failed without a failed test: types, lint, an installation, a crash.
if (failed === 0) failed = Number(failedSteps)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
