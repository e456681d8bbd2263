import { z } from 'zod'
import { path } from '../kinds.ts'

/** Bridges and bots that the homeserver knows as appservices. */
export const appservicesSection = z
  .strictObject({
    registration_files: z.array(path).default([]).meta({
      type: 'list of paths',
      write: 'a list such as [/etc/matrix-synapse/appservices/telegram.yaml]',
      description:
        "Registration files of bridges that sign in by themselves (`m.login.application_service`), as in Synapse's `app_service_config_files`. They are read at start.",
    }),
  })
  .prefault({})
  .describe('Appservices, such as bridges: see `docs/bridges.md`.')
