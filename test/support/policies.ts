import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'

/** A folder of rule files that a test writes and rewrites. */
export interface PolicyFolder {
  path: string
  put(name: string, text: string): Promise<void>
  /** Writes rules on one decision to a file of that name, in place of what was there; `outcome` is their `then`. */
  rules(on: string, rules: readonly TestRule[]): Promise<void>
  remove(): Promise<void>
}

export interface TestRule {
  id: string
  when?: string
  outcome?: string
  message?: string
  soft?: number
  hard?: number
  at_hard?: string
}

export async function createPolicyFolder(): Promise<PolicyFolder> {
  const path = await mkdtemp(join(tmpdir(), 'postern-policies-'))
  const put = (name: string, text: string) => writeFile(join(path, name), text)
  return {
    path,
    put,
    rules: (on, rules) => {
      const written = rules.map(({ outcome, ...rest }) => {
        return outcome ? Object.fromEntries([...Object.entries(rest), ['then', outcome]]) : rest
      })
      return put(`${on}.yaml`, stringify({ on, rules: written }, { lineWidth: 0 }))
    },
    remove: () => rm(path, { recursive: true, force: true }),
  }
}
