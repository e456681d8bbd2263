import { z } from 'zod'
import type { HomeserverConfig } from './homeserver-config.ts'
import { readYaml } from './homeserver-files.ts'

const registration = z.looseObject({
  id: z.string(),
  sender_localpart: z.string().optional(),
  namespaces: z
    .looseObject({
      users: z
        .array(z.looseObject({ regex: z.string(), exclusive: z.boolean().optional() }))
        .nullish()
        .transform((users) => users ?? []),
    })
    .optional(),
})

export interface Appservices {
  /** What the users of each appservice are called, as regular expressions of whole user IDs. */
  patterns: { id: string; pattern: string }[]
  /** Registration files that could not be read, and why. */
  problems: string[]
}

/**
 * Reads the registration files that Synapse's configuration names. Users are an appservice's where it claims them
 * exclusively, or as its own sender; Synapse itself notes whom an appservice made.
 */
export async function readAppservices(config: HomeserverConfig): Promise<Appservices> {
  const patterns: Appservices['patterns'] = []
  const problems: string[] = []
  for (const file of config.appserviceFiles) {
    try {
      const { id, sender_localpart, namespaces } = registration.parse(await readYaml(file))
      for (const { regex, exclusive } of namespaces?.users ?? []) {
        // Synapse looks for a match at the beginning. What both languages read differently is left to Synapse's note.
        if (exclusive && isPlain(regex)) patterns.push({ id, pattern: `^(?:${regex})` })
      }
      if (sender_localpart !== undefined) {
        const userId = `@${sender_localpart}:${config.serverName}`
        patterns.push({ id, pattern: `^${userId.replace(/[^\w@:-]/g, '\\$&')}$` })
      }
    } catch (error) {
      const why = error instanceof z.ZodError ? 'is not an appservice registration' : (error as Error).message
      problems.push(why.startsWith(file) ? why : `${file}: ${why}`)
    }
  }
  return { patterns, problems }
}

/** Whether a regular expression reads the same in Python, JavaScript and PostgreSQL. */
function isPlain(regex: string): boolean {
  try {
    new RegExp(regex)
    return !/\(\?|\\[^.*+?()[\]{}|^$\\/@:_=-]/.test(regex)
  } catch {
    return false
  }
}
