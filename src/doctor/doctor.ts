import type { Log } from '../storage/log.ts'
import { checkClock } from './clock.ts'
import { checkDatabase } from './database.ts'
import type { DoctorDeps, Finding } from './finding.ts'
import { checkHomeserver } from './homeserver.ts'
import { checkPublicAddress } from './public-address.ts'
import { checkRoutes } from './routes.ts'
import { checkTls } from './tls.ts'

/** Looks at everything around the service. Changes nothing, and goes on where one thing is wrong. */
export async function examine(deps: DoctorDeps, log: Log): Promise<Finding[]> {
  const findings = await Promise.all([
    checkPublicAddress(deps),
    checkTls(deps),
    checkDatabase(deps, log),
    checkClock(deps),
    checkHomeserver(deps),
    checkRoutes(deps),
  ])
  return findings.flat()
}
