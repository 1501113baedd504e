// Heap bytes a sample on the whole path in steady state: what one window of all series allocates, read off a heap
// whose young generation is not collected in between (bench/run.ts gives it the room). What is steady takes its time: an
// optimizing compiler boxes other numbers once it has seen more, and a series that is a day old goes ways that a young one
// does not go; so of rich series two ages are measured, after as many windows as it takes.
// node --expose-gc --max-semi-space-size=256 --min-semi-space-size=256 --import tsx bench/measures/heap.ts
import { PerformanceObserver } from 'node:perf_hooks'
import { assemble } from '../../src/assembly.ts'
import { parseConfig } from '../../src/config.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { SLICES, type SliceOptions } from '../../src/slices.ts'
import { BodyWriter } from '../bodies.ts'
import { collect, type Measured, QUICK, say } from '../measure.ts'

const PER_BODY = 1000
const WINDOWS = QUICK ? 3 : 10
const T0 = 1_700_000_400_000
/** Between two reviews of who has how much memory (src/detectors/promotion.ts), ms: they are told apart from other windows. */
const REVIEW_MS = 600_000

interface World {
  readonly count: number
  readonly stepMs: number
  readonly warm: number
  /** Left out: all of them, as by default. */
  readonly richSeries?: number
  readonly slices?: SliceOptions
}

let collections = 0
new PerformanceObserver(list => {
  collections += list.getEntries().length
}).observe({ entryTypes: ['gc'] })

/** Bytes a sample, window by window: of those in which memory was given out anew, and of others. */
async function bytesOf(world: World): Promise<{ readonly usual: number[]; readonly reviews: number[] }> {
  const { count, stepMs, warm, richSeries, slices } = world
  const detection = richSeries === undefined ? {} : { detection: { richSeries } }
  const parts = assemble(
    parseConfig({ features: { step: `${stepMs / 1000}s` }, ...detection }),
    new Rejects(),
  )
  const pipeline = new Pipeline(parts, async () => {}, new Telemetry(), { slices })
  const writer = new BodyWriter()
  const found = { usual: [] as number[], reviews: [] as number[] }
  const [windows, until] = [WINDOWS, warm + 4 * WINDOWS]
  for (let t = 0; t < until && found.usual.length < windows; t++) {
    const ms = T0 + t * stepMs
    const bodies: Envelope[] = []
    for (let first = 0; first < count; first += PER_BODY) {
      const bytes = writer.body(first, PER_BODY, t, ms)
      const envelope = { kind: 'remote-write-1', encoding: 'snappy', tenant: 'default' } as const
      bodies.push({ ...envelope, arrivalMs: ms + 2000, bytes })
    }
    const isMeasured = t >= warm
    if (isMeasured) {
      collect()
      // Observers hear of a collection only in a later turn.
      await new Promise(done => setTimeout(done, 5))
      collections = 0
    }
    const before = process.memoryUsage().heapUsed
    for (const envelope of bodies) {
      // As the inbox does it: what is there need not be waited for.
      const said = pipeline.process(t, envelope)
      if (said instanceof Promise) await said
    }
    await pipeline.settle()
    if (!isMeasured) continue
    const allocated = (process.memoryUsage().heapUsed - before) / count
    await new Promise(done => setTimeout(done, 5))
    if (collections > 0) continue
    // End of the window that this step's bodies have completed.
    const endMs = Math.floor(parts.windows.watermarkMs / stepMs) * stepMs
    const isReview = Math.floor(endMs / REVIEW_MS) > Math.floor((endMs - stepMs) / REVIEW_MS)
    found[isReview ? 'reviews' : 'usual'].push(allocated)
  }
  await parts.scoring.close?.()
  if (found.usual.length === 0)
    throw new Error('the heap was collected in every window: give it a larger young generation')
  return found
}

function measured(id: string, what: string, values: readonly number[], atMost?: number): Measured {
  return { id, what, unit: 'B/sample', values, ...(atMost === undefined ? {} : { atMost }) }
}

const count = QUICK ? 4000 : 50_000
const young = { count, stepMs: 10_000, warm: QUICK ? 30 : 150 }
const path = await bytesOf(young)
// Two days, in steps of five minutes.
const old = await bytesOf({ count: QUICK ? 4000 : 20_000, stepMs: 300_000, warm: QUICK ? 30 : 580 })
const plain = await bytesOf({ ...young, warm: QUICK ? 30 : 60, richSeries: 1 })
const sliced = await bytesOf({ ...young, slices: SLICES })
say([
  measured('path.heap', 'heap allocated on the whole path', path.usual, 1),
  measured('path.heap.old', '· series two days old', old.usual, 1),
  measured('path.heap.review', '· · in the window of a review of profiles, each ten minutes', old.reviews),
  measured('path.heap.plain', '· plain series', plain.usual, 1),
  measured('path.heap.slices', '· windows scored in slices, as `serve` does', sliced.usual),
])
