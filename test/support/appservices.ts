import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'

/** Registration files, as an operator has them. */
export interface RegistrationFiles {
  /** The section of the configuration that names them. */
  config: { registration_files: string[] }
  remove(): Promise<void>
}

/** Writes one file for each; members given here replace those of a usual bridge. */
export async function writeRegistrations(
  registrations: Record<string, Record<string, unknown>>,
): Promise<RegistrationFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-registrations-'))
  const files: string[] = []
  for (const [id, members] of Object.entries(registrations)) {
    const file = join(folder, `${id}.yaml`)
    files.push(file)
    const usual = {
      id,
      as_token: asToken(id),
      hs_token: `hs-token-of-${id}`,
      url: null,
      sender_localpart: `${id}bot`,
      rate_limited: false,
      namespaces: { users: [{ regex: `^@${id}_.+:localhost\\.test$`, exclusive: true }] },
    }
    await writeFile(file, stringify({ ...usual, ...members }))
  }
  return { config: { registration_files: files }, remove: () => rm(folder, { recursive: true }) }
}

export function asToken(id: string): string {
  return `as-token-of-${id}`
}
