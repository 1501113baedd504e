// Champions swapped on a pipeline that takes 100,000 samples a second: how late windows are beside the swaps, what an
// order holds up, and whether memory stays where it was after fifty of them. Models run in threads, as in the service.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryJournal } from '../../src/bus/memory-journal.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { ModelWorld, writeShare } from '../../test/model-world.ts'
import { collect, type Measured, median, QUICK, say } from '../measure.ts'

const SERIES = 5000
const STEP_MS = 1000
const SAMPLES_A_WINDOW = 20
const WARM = 12
const SWAPS = QUICK ? 4 : 51
const START_MS = Date.UTC(2026, 0, 5)

const folder = mkdtempSync(join(tmpdir(), 'foreshock-swaps-'))
const digests = [0.2, 0.5, 0.8].map((share, i) => writeShare(folder, 'probe', i + 1, share))
const journal = new MemoryJournal()
const config = {
  features: { step: `${STEP_MS}ms`, lateness: '1ms' },
  ingest: { entityLabels: ['service'] },
  detection: { models: { size: 1000, timeout: '10s' } },
}
const world = await ModelWorld.open(folder, config, journal)
const random = mulberry32(1)
const encoder = new TextEncoder()

function body(window: number): Uint8Array {
  const times = Array.from({ length: SAMPLES_A_WINDOW }, (_, i) => START_MS + window * STEP_MS + i * 50)
  const lines: string[] = []
  for (let s = 0; s < SERIES; s++) {
    const values = times.map(() => Math.round(1000 * (10 + random())) / 1000)
    lines.push(JSON.stringify({ metric: 'latency_seconds', labels: { service: `s${s}` }, times, values }))
  }
  return encoder.encode(lines.join('\n'))
}

/** Offers one window, at its second; how long it took to be scored, ms. */
let dueMs = performance.now()
async function window(w: number): Promise<number> {
  const bytes = body(w)
  dueMs = Math.max(dueMs + STEP_MS, performance.now())
  await new Promise(done => setTimeout(done, dueMs - performance.now()))
  const from = performance.now()
  await world.samples(bytes, START_MS + (w + 1) * STEP_MS)
  await journal.commit(journal.end)
  return performance.now() - from
}

const order = async (version: number) => {
  const promote = {
    op: 'promote',
    model: 'probe',
    version,
    digest: digests[version - 1],
    by: 'bench',
  } as const
  await world.shelf.prepare(promote.model, promote.version, promote.digest)
  const from = performance.now()
  const { reasons } = await world.order(promote, START_MS)
  if (reasons.length > 0) throw new Error(reasons.join())
  return performance.now() - from
}

const still: number[] = []
const beside: number[] = []
const orders: number[] = []
let w = 0
await window(w++)
await order(1)
for (; w < WARM; ) still.push(await window(w++))
let firstRss = 0
for (let swap = 0; swap < SWAPS; swap++) {
  const swapping = order(((swap + 1) % 3) + 1)
  beside.push(await window(w++))
  orders.push(await swapping)
  if (swap > 0 && swap < SWAPS - 1) continue
  // Threads that were closed take a moment to go.
  await new Promise(done => setTimeout(done, 500))
  collect()
  if (swap === 0) firstRss = process.memoryUsage.rss()
}
const lost = w - 1 - world.seen.length
const failed = world.parts.scoring.models()[0].champion?.failed ?? NaN
const measured: Measured[] = [
  {
    id: 'swaps.still.ms',
    what: 'window of 100,000 samples until it is scored, no swap',
    unit: 'ms',
    values: [median(still)],
  },
  {
    id: 'swaps.beside.ms',
    what: '· while a champion is opened and swapped',
    unit: 'ms',
    values: [median(beside)],
  },
  {
    id: 'swaps.worst.ms',
    what: '· the worst of all',
    unit: 'ms',
    atMost: STEP_MS,
    values: [Math.max(...beside)],
  },
  {
    id: 'swaps.order.ms',
    what: 'order of a version made ready, fed 20 windows of 1000 series',
    unit: 'ms',
    values: [median(orders)],
  },
  {
    id: 'swaps.lost',
    what: `windows lost or scored twice in ${SWAPS} swaps`,
    unit: 'windows',
    atMost: 0,
    values: [Math.abs(lost) + failed],
  },
  {
    id: 'swaps.rss',
    what: `RSS after ${SWAPS} swaps against the first`,
    unit: '×',
    atMost: 1.2,
    values: [process.memoryUsage.rss() / firstRss],
  },
]
await world.close()
rmSync(folder, { recursive: true, force: true })
say(measured)
