import type { KeyFile, SigningKey } from './signing-keys.ts'

/**
 * Where a key stands: `announced` keys are published before they sign, so that whoever caches the key set knows them
 * by then; one of each algorithm is `signing`; `retired` ones are published until what they signed has expired.
 * `expired` ones are of no use any more.
 */
export type Stage = 'announced' | 'signing' | 'retired' | 'expired'

/** A key file with its stage, and when the stage ends (never, where that is not known yet). */
export interface StagedKey extends KeyFile {
  stage: Stage
  until: Date | undefined
}

/**
 * How long a retired key is published, in milliseconds. An id_token lives for an hour, but apps show an expired one as
 * `id_token_hint` when somebody signs out (RP-Initiated Logout 1.0 §2).
 */
const RETIRED_MS = 30 * 24 * 3600 * 1000

/**
 * The stage of each key at a time. Only the files and the clock count, so that replicas with the same folder agree
 * without asking each other: of the keys whose time has come the newest signs. Keys without a time are those of the
 * first start and those that an operator put there: the first of them signs until there is a newer one.
 */
export function stagesAt(files: readonly KeyFile[], now: Date): StagedKey[] {
  return files.map((file) => {
    const later = files
      .filter(
        ({ key, signsFrom }) => key.alg === file.key.alg && startOf(signsFrom) > startOf(file.signsFrom),
      )
      .map(({ signsFrom }) => startOf(signsFrom))
    const replaced = later.length > 0 ? Math.min(...later) : Number.POSITIVE_INFINITY
    const gone = replaced + RETIRED_MS
    const at = now.getTime()
    if (startOf(file.signsFrom) > at) return { ...file, stage: 'announced', until: file.signsFrom }
    if (replaced > at && isFirst(files, file)) return { ...file, stage: 'signing', until: dateOf(replaced) }
    return { ...file, stage: gone > at ? 'retired' : 'expired', until: gone > at ? dateOf(gone) : undefined }
  })
}

/** The keys to publish, each once: those that sign come first, which is what oidc-provider goes by. */
export function publishedKeys(staged: readonly StagedKey[]): SigningKey[] {
  const inUse = staged.filter(({ stage }) => stage !== 'expired')
  const signingFirst = inUse.toSorted((a, b) => Number(b.stage === 'signing') - Number(a.stage === 'signing'))
  return [...new Map(signingFirst.map(({ key }) => [key.kid, key])).values()]
}

/** Among keys of the same time, the first by file name. */
function isFirst(files: readonly KeyFile[], file: KeyFile): boolean {
  return (
    files.find(
      ({ key, signsFrom }) => key.alg === file.key.alg && startOf(signsFrom) === startOf(file.signsFrom),
    ) === file
  )
}

function startOf(signsFrom: Date | undefined): number {
  return signsFrom?.getTime() ?? Number.NEGATIVE_INFINITY
}

function dateOf(time: number): Date | undefined {
  return Number.isFinite(time) ? new Date(time) : undefined
}
