import { z } from 'zod'
import { path } from './kinds.ts'
import { appservicesSection } from './sections/appservices.ts'
import { brandingSection } from './sections/branding.ts'
import { clientRegistrationSection } from './sections/client-registration.ts'
import { clientsSection } from './sections/clients.ts'
import { databaseSection } from './sections/database.ts'
import { httpSection } from './sections/http.ts'
import { limitsSection } from './sections/limits.ts'
import { logSection } from './sections/log.ts'
import { matrixSection } from './sections/matrix.ts'
import { metricsSection } from './sections/metrics.ts'
import { passwordsSection } from './sections/passwords.ts'
import { policiesSection } from './sections/policies.ts'
import { secretsSection } from './sections/secrets.ts'
import { sessionsSection } from './sections/sessions.ts'
import { tokensSection } from './sections/tokens.ts'
import { tracingSection } from './sections/tracing.ts'

/** The whole configuration as it is written, in the order of the documentation. */
export const configSchema = z
  .strictObject({
    http: httpSection,
    matrix: matrixSection,
    data_folder: path
      .default('./data')
      .describe(
        "Where secrets, keys and the embedded database are kept. A relative path starts at the configuration file's folder, without a file at the working directory.",
      ),
    database: databaseSection,
    secrets: secretsSection,
    clients: clientsSection,
    client_registration: clientRegistrationSection,
    appservices: appservicesSection,
    passwords: passwordsSection,
    tokens: tokensSection,
    sessions: sessionsSection,
    limits: limitsSection,
    policies: policiesSection,
    branding: brandingSection,
    log: logSection,
    metrics: metricsSection,
    tracing: tracingSection,
  })
  .meta({ write: 'sections such as "http:" with their keys indented below' })

export type WrittenConfig = z.output<typeof configSchema>
