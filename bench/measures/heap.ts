// Heap bytes a sample on the whole path in steady state: what one window of all series allocates, read off a heap
// whose young generation is not collected in between (bench/run.ts gives it the room).
// node --expose-gc --max-semi-space-size=256 --min-semi-space-size=256 --import tsx bench/measures/heap.ts
import { PerformanceObserver } from 'node:perf_hooks'
import { assemble } from '../../src/assembly.ts'
import { parseConfig } from '../../src/config.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { BodyWriter } from '../bodies.ts'
import { collect, QUICK, say } from '../measure.ts'

const COUNT = QUICK ? 4000 : 50_000
const PER_BODY = 1000
const WARM = 28
const WINDOWS = QUICK ? 3 : 10
const STEP_MS = 10_000
const T0 = 1_700_000_000_000

const parts = assemble(parseConfig({}), new Rejects())
const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
const writer = new BodyWriter()
let collections = 0
new PerformanceObserver(list => {
  collections += list.getEntries().length
}).observe({ entryTypes: ['gc'] })

const values: number[] = []
for (let t = 0; t < WARM + WINDOWS; t++) {
  const ms = T0 + t * STEP_MS
  const bodies: Envelope[] = []
  for (let first = 0; first < COUNT; first += PER_BODY) {
    const bytes = writer.body(first, PER_BODY, t, ms)
    const envelope = {
      kind: 'remote-write-1',
      encoding: 'snappy',
      arrivalMs: ms + 2000,
      tenant: 'default',
    } as const
    bodies.push({ ...envelope, bytes })
  }
  if (t < WARM) {
    for (const envelope of bodies) await pipeline.process(t, envelope)
    continue
  }
  collect()
  // Observers hear of a collection only in a later turn.
  await new Promise(done => setTimeout(done, 5))
  collections = 0
  const before = process.memoryUsage().heapUsed
  for (const envelope of bodies) await pipeline.process(t, envelope)
  const allocated = process.memoryUsage().heapUsed - before
  await new Promise(done => setTimeout(done, 5))
  if (collections === 0) values.push(allocated / COUNT)
}
if (values.length === 0)
  throw new Error('the heap was collected in every window: give it a larger young generation')
say([{ id: 'path.heap', what: 'heap allocated on the whole path', unit: 'B/sample', atMost: 1, values }])
