import { RE2JS, RE2JSException } from 're2js'
import { z } from 'zod'
import { secret, text } from '../config/kinds.ts'
import { hashSecret } from '../tokens/format.ts'

/** What this service knows of an appservice. Its tokens are not kept, only the hash of the one that it shows. */
export interface Appservice {
  id: string
  /** SHA-256 of the `as_token`. */
  tokenHash: Buffer
  senderLocalpart: string
  /** Patterns of user IDs that are the appservice's; each matches from the start, not necessarily to the end. */
  users: readonly RE2JS[]
  /** It makes its devices by `PUT /devices/{id}` at the homeserver and doesn't sign in (MSC4190). */
  managesDevices: boolean
}

const pattern = z
  .string()
  .transform((value, ctx) => {
    try {
      // RE2 matches in linear time: a pattern that somebody copied together cannot hold the service up.
      return RE2JS.compile(value)
    } catch (error) {
      if (!(error instanceof RE2JSException)) throw error
      ctx.addIssue({ code: 'custom', message: `is not a usable pattern (${error.message})` })
      return z.NEVER
    }
  })
  .meta({ write: 'a regular expression without lookaround, backreferences and \\Z' })

const namespace = z
  .object({
    regex: pattern,
    exclusive: z.boolean().meta({ write: 'true or false' }),
  })
  .meta({ write: 'a mapping with regex and exclusive' })

/** A registration file as Synapse reads it; what this service has no use for is not looked at. */
export const registrationSchema = z
  .object({
    id: text
      .refine((value) => !value.includes('|'), 'has a "|", which Synapse refuses')
      .meta({
        write: 'the name of the appservice',
      }),
    as_token: secret.meta({ write: 'the as_token that the appservice has, in quotes' }),
    hs_token: secret.meta({ write: 'the hs_token that the appservice has, in quotes' }),
    // Python's urllib.parse.quote, by which Synapse checks it, leaves these alone.
    sender_localpart: text
      .regex(/^[A-Za-z0-9_.~/-]+$/, 'has characters that Synapse refuses there')
      .meta({ write: 'the localpart of the bot, such as telegrambot' }),
    namespaces: z
      .object({ users: z.array(namespace).default([]) })
      .meta({ write: 'a mapping with a list of users' }),
    'io.element.msc4190': z.boolean().default(false).meta({ write: 'true or false' }),
  })
  .transform(
    (file): Appservice => ({
      id: file.id,
      tokenHash: hashSecret(file.as_token),
      senderLocalpart: file.sender_localpart,
      users: file.namespaces.users.map(({ regex }) => regex),
      managesDevices: file['io.element.msc4190'],
    }),
  )
