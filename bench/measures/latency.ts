// Goal 10: from the moment a body is due until it is taken in, its samples in their window, at a steady rate, against the same loop
// that does nothing with them; windows of millions are scored in slices between bodies, so beside it stands how long a window takes
// from the arrival of the body that completes it until its last row is scored. Wall time: other work shows, in both.
// node --expose-gc --import tsx bench/measures/latency.ts [--quick] [--rate SAMPLES/S] [--workers N]
import { parseArgs } from 'node:util'
import { assemble, assembleSharded } from '../../src/assembly.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { SLICES } from '../../src/slices.ts'
import { FleetBodies } from '../headline/bodies.ts'
import { collect, QUICK, say } from '../measure.ts'
import { tierZeroConfig } from '../tier-zero.ts'
import { ratios } from '../turns.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    rate: { type: 'string', default: QUICK ? '50000' : '500000' },
    series: { type: 'string', default: QUICK ? '5000' : '500000' },
    body: { type: 'string', default: '1000' },
    /** Windows of all series before the first that counts. */
    warm: { type: 'string', default: QUICK ? '4' : '26' },
    /** Wall seconds of one repetition. */
    seconds: { type: 'string', default: QUICK ? '0.3' : '4' },
    repetitions: { type: 'string', default: QUICK ? '2' : '5' },
    /** Threads that score beside this one. */
    workers: { type: 'string', default: '0' },
  },
})
const STEP_MS = 15_000
const T0 = 1_790_000_000_000
const rate = Number(args.rate)
const bodies = new FleetBodies(Number(args.series), Number(args.body), STEP_MS)
const rejects = new Rejects()
const config = tierZeroConfig(bodies.fleet.series, STEP_MS)
const workers = Number(args.workers)
const onLost = (error: Error) => {
  throw error
}
const parts =
  workers === 0
    ? assemble(config, rejects)
    : assembleSharded(config, rejects, { workers, onWarning: text => onLost(new Error(text)), onLost })
const pipeline = new Pipeline(parts, async () => {}, new Telemetry(), { slices: SLICES })
let position = 0
let sent = 0

/** The next body, an event time of its own within its step: windows close as scrapes go on. */
function next(): Envelope {
  const [t, b] = [Math.floor(sent / bodies.count), sent % bodies.count]
  sent++
  const ms = T0 + t * STEP_MS + Math.floor((STEP_MS * b) / bodies.count)
  const bytes = bodies.body(b, t, ms)
  return { kind: 'remote-write-1', encoding: 'snappy', arrivalMs: ms + 2000, tenant: 'default', bytes }
}
/** When the body came that completed each window, and when its last row was scored, ms. */
const begun: number[] = []
const ended: number[] = []
/** Windows that are complete, from the first with samples on. */
const complete = () =>
  Math.max(0, Math.floor(parts.windows.watermarkMs / STEP_MS) - Math.floor(T0 / STEP_MS)) || 0
pipeline.afterWindow = () => ended.push(performance.now())
const score = async (envelope: Envelope): Promise<void> => {
  const arrived = performance.now()
  const before = complete()
  await pipeline.process(++position, envelope)
  for (let windows = complete() - before; windows > 0; windows--) begun.push(arrived)
}
const nothing = async (_: Envelope) => {}

/** 99th percentile and median of one repetition, ms. Bodies are made before they are due: making them counts for nobody. */
async function run(
  take: (envelope: Envelope) => Promise<void>,
  make: () => Envelope,
): Promise<[number, number]> {
  const everyMs = (1000 * Number(args.body)) / rate
  const count = Math.ceil((1000 * Number(args.seconds)) / everyMs)
  const took = new Float64Array(count)
  collect()
  const start = performance.now() + 5
  for (let i = 0; i < count; i++) {
    const envelope = make()
    const due = start + i * everyMs
    while (performance.now() < due) await new Promise<void>(done => setImmediate(done))
    await take(envelope)
    took[i] = performance.now() - due
  }
  took.sort()
  return [took[Math.floor(0.99 * (count - 1))], took[count >> 1]]
}

for (let left = Number(args.warm) * bodies.count; left > 0; left--) await score(next())
const idle = next()
const ours: number[] = []
const middle: number[] = []
const empty: number[] = []
const scored: number[] = []
for (let r = 0; r < Number(args.repetitions); r++) {
  const first = ended.length
  const [p99, p50] = await run(score, next)
  for (let i = first; i < ended.length; i++) scored.push(ended[i] - begun[i])
  ours.push(p99)
  middle.push(p50)
  empty.push((await run(nothing, () => idle))[0])
}
if (Object.keys(rejects.counts()).length > 0) throw new Error(JSON.stringify(rejects.counts()))
await parts.scoring.close?.()
const beside = workers === 0 ? '' : `, ${workers} scoring beside`
const of = workers === 0 ? 'latency' : `latency.${workers}`
const what = `arrival → taken in while windows are scored, 99th percentile of bodies, ${rate / 1000} k samples/s, ${bodies.fleet.series / 1000} k series${beside}`
say([
  { id: `${of}.p99.ms`, what, unit: 'ms wall', values: ours },
  { id: `${of}.p50.ms`, what: '· median', unit: 'ms wall', values: middle },
  {
    id: `${of}.scored.ms`,
    what: '· arrival of the body that completes a window → its last row scored',
    unit: 'ms wall',
    values: scored,
  },
  {
    id: `${of}.empty.ms`,
    what: '· an empty loop at the same rate, 99th percentile',
    unit: 'ms wall',
    values: empty,
  },
  {
    id: workers === 0 ? 'goal.10' : `${of}.ratio`,
    what: '· ours against the empty loop',
    unit: '×',
    values: ratios(ours, empty),
  },
])
