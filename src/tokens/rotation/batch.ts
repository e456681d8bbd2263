import type { Clock } from '../../clock.ts'
import { type BatchDeps, createBatch } from '../../storage/batch.ts'
import { rotationTimes } from '../refresh.ts'
import { type Rotation, rotateMany } from './store.ts'

/** One commit is waited for by so many people at the most. */
const MAX_BATCH = 64

/** Refreshes that come at the same time share a statement and its commit, which is what a refresh costs most. */
export function createRotationBatch({
  clock,
  accessTokenTtlSeconds,
  ...deps
}: Pick<BatchDeps<Rotation, string>, 'clientConfig' | 'log' | 'tracing'> & {
  clock: Clock
  accessTokenTtlSeconds: number
}) {
  const { ask, close } = createBatch<Rotation, string>({
    ...deps,
    name: 'refresh',
    most: MAX_BATCH,
    query: (client, rotations) => rotateMany(client, rotations, rotationTimes(clock, accessTokenTtlSeconds)),
  })
  return { rotateCurrent: ask, close }
}
