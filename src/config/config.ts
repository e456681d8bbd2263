import type { Appservice } from '../appservices/registration.ts'
import type { BrandingConfig } from './sections/branding.ts'
import type { ClientRegistrationConfig } from './sections/client-registration.ts'
import type { ClientConfig } from './sections/clients.ts'
import type { DatabaseConfig } from './sections/database.ts'
import type { HttpConfig } from './sections/http.ts'
import type { LimitsConfig } from './sections/limits.ts'
import type { LogConfig } from './sections/log.ts'
import type { MatrixConfig } from './sections/matrix.ts'
import type { MetricsConfig } from './sections/metrics.ts'
import type { PasswordsConfig } from './sections/passwords.ts'
import type { PoliciesConfig } from './sections/policies.ts'
import type { SecretsConfig } from './sections/secrets.ts'
import type { SessionsConfig } from './sections/sessions.ts'
import type { TokensConfig } from './sections/tokens.ts'
import type { TracingConfig } from './sections/tracing.ts'

/** The configuration, checked and complete: defaults filled in, secrets read from their files, paths absolute. */
export interface Config {
  http: HttpConfig
  matrix: MatrixConfig
  data_folder: string
  database: DatabaseConfig
  secrets: SecretsConfig
  clients: ClientConfig[]
  client_registration: ClientRegistrationConfig
  /** Read from their registration files. */
  appservices: Appservice[]
  passwords: PasswordsConfig
  tokens: TokensConfig
  sessions: SessionsConfig
  limits: LimitsConfig
  policies: PoliciesConfig
  branding: BrandingConfig
  log: LogConfig
  metrics: MetricsConfig
  tracing: TracingConfig
}
