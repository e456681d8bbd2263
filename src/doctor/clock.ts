import { type DoctorDeps, type Finding, look, ok, problem, skipped } from './finding.ts'

/** Seconds. `Date` has whole ones, and the answer takes a while. */
const MOST_SECONDS = 5

/** Whether this machine's clock and those of its neighbours agree: codes live a minute, id_tokens say when. */
export async function checkClock({ config, fetch, now }: DoctorDeps): Promise<Finding[]> {
  const neighbours = [config.matrix.endpoint, config.http.public_url].filter((url) => url !== undefined)
  const findings: Finding[] = []
  for (const url of neighbours) {
    const before = now().getTime()
    const answer = await look(fetch, url)
    const date = 'failed' in answer ? undefined : answer.headers.get('date')
    if (!date) continue
    const there = new Date(date).getTime()
    const off = there < before ? before - there : Math.max(0, there - now().getTime())
    const { host } = new URL(url)
    findings.push(
      off > MOST_SECONDS * 1000
        ? problem(
            'clock',
            `this machine and ${host} are ${Math.round(off / 1000)} seconds apart`,
            'Let both machines set their clocks by NTP, such as with systemd-timesyncd or chrony',
          )
        : ok('clock', `this machine and ${host} agree`),
    )
  }
  return findings.length > 0 ? findings : [skipped('clock', 'nobody answered who could be compared with')]
}
