import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../storage/log.ts'
import { checkClock } from './clock.ts'
import { checkDatabase } from './database.ts'
import { type DoctorDeps, type Finding, problem } from './finding.ts'
import { checkHomeserver } from './homeserver.ts'
import { checkPublicAddress } from './public-address.ts'
import { checkRoutes } from './routes.ts'
import { checkTls } from './tls.ts'

const PATIENCE_MS = 45_000

/** Looks at everything around the service. Changes nothing, and goes on where one thing is wrong. */
export async function examine(deps: DoctorDeps, log: Log): Promise<Finding[]> {
  const findings = await Promise.all([
    inTime('public address', checkPublicAddress(deps)),
    inTime('tls', checkTls(deps)),
    inTime('database', checkDatabase(deps, log)),
    inTime('clock', checkClock(deps)),
    inTime('homeserver', checkHomeserver(deps)),
    inTime('routes', checkRoutes(deps)),
  ])
  return findings.flat()
}

/**
 * A check has time limits for each thing that it asks; this one is for all of them together, and for what has none,
 * such as names that nobody resolves.
 */
async function inTime(check: string, findings: Promise<Finding[]>): Promise<Finding[]> {
  const late = new AbortController()
  const patience = delay(PATIENCE_MS, undefined, { signal: late.signal }).then(
    () => [
      problem(
        check,
        `there was no end to it within ${PATIENCE_MS / 1000} seconds`,
        'Look at the network between this machine and the others: something takes requests and drops them',
      ),
    ],
    () => [],
  )
  return Promise.race([findings, patience]).finally(() => late.abort())
}
