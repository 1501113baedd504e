import { availableParallelism } from 'node:os'
import type { Config } from '../config/schema.ts'

/** From so many samples a second on, one thread is not to do everything. */
const INLINE_SAMPLES_MAX = 1_000_000

/** How many threads score beside the one that takes samples in: for `auto`, by what may come when every series is sampled once a step. */
export function workersOf({ ingest, features, detection }: Config, cores = availableParallelism()): number {
  if (detection.workers !== 'auto') return detection.workers
  const perSecond = ingest.maxSeries / (features.step / 1000)
  return perSecond < INLINE_SAMPLES_MAX ? 0 : Math.max(0, cores - 1)
}
