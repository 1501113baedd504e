// The roofline: what memory gives on this machine, and what a sample has to move through it. Bandwidth of one core over
// arrays that fit no cache (read, and read-modify-write), and the time of one dependent look-up at random.
// node --expose-gc --import tsx bench/measures/roofline.ts [--quick] [--series N]
import { parseArgs } from 'node:util'
import { assemble } from '../../src/assembly.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { FleetBodies } from '../headline/bodies.ts'
import { cpuNs, type Measured, median, QUICK, say } from '../measure.ts'
import { tierZeroConfig } from '../tier-zero.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    /** Just under eight chunks of state, so that rows that are not used count for little. */
    series: { type: 'string', default: QUICK ? '5000' : '524250' },
    steps: { type: 'string', default: QUICK ? '4' : '30' },
  },
})
const REPETITIONS = QUICK ? 2 : 7
const DOUBLES = (QUICK ? 8 : 256) * 131_072
const STEP_MS = 15_000
const T0 = 1_790_000_000_000

function read(from: Float64Array): number {
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let i = 0; i < from.length; i += 4) {
    a += from[i]
    b += from[i + 1]
    c += from[i + 2]
    d += from[i + 3]
  }
  return a + b + c + d
}

function update(state: Float64Array): void {
  for (let i = 0; i < state.length; i++) state[i] += 1
}

/** Follows a ring that jumps over all of it: each look-up waits for the one before. */
function follow(ring: Uint32Array, steps: number): number {
  let at = 0
  for (let i = 0; i < steps; i++) at = ring[at]
  return at
}

function ringOf(size: number): Uint32Array {
  const ring = new Uint32Array(size)
  // A full period of a linear congruence over a power of two.
  for (let i = 0, at = 0; i < size; i++) {
    const to = (Math.imul(at, 1_664_525) + 1_013_904_223) & (size - 1)
    ring[at] = to
    at = to
  }
  return ring
}

function timed(work: () => unknown, units: number): number[] {
  work()
  return Array.from({ length: REPETITIONS }, () => {
    const from = cpuNs()
    work()
    return (cpuNs() - from) / units
  })
}

const array = new Float64Array(DOUBLES).fill(1)
const readNs = timed(() => read(array), array.byteLength)
const updateNs = timed(() => update(array), array.byteLength)
const ring = ringOf(QUICK ? 1 << 20 : 1 << 27)
const LOOKUPS = QUICK ? 100_000 : 5_000_000
const lookupNs = timed(() => follow(ring, LOOKUPS), LOOKUPS)

/** What the columns hold of a series, and CPU of a sample, on the real path. */
async function path(): Promise<{ bytes: number; ns: number[] }> {
  const bodies = new FleetBodies(Number(args.series), 5000, STEP_MS)
  const { series } = bodies.fleet
  const parts = assemble(tierZeroConfig(series, STEP_MS), new Rejects())
  const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
  const ns: number[] = []
  let position = 0
  for (let t = 0; t < Number(args.steps); t++) {
    let spent = 0
    for (let b = 0; b < bodies.count; b++) {
      const ms = T0 + t * STEP_MS
      const bytes = bodies.body(b, t, ms)
      const envelope = { kind: 'remote-write-1', encoding: 'snappy', tenant: 'default', bytes } as const
      const before = cpuNs()
      await pipeline.process(++position, { ...envelope, arrivalMs: ms + 2000 })
      spent += cpuNs() - before
    }
    ns.push(spent / series)
  }
  const held = [parts.intake, parts.windows, parts.scoring, parts.disruptions, parts.history]
  return { bytes: held.reduce((sum, part) => sum + part.bytes(), 0) / series, ns: ns.slice(-REPETITIONS) }
}

const { bytes, ns } = await path()
const gigabytes = (nsPerByte: readonly number[]) => nsPerByte.map(each => 1 / each)
const memory = { unit: 'GB/s CPU', better: 'more' } as const
const measured: Measured[] = [
  { id: 'roofline.read', what: 'memory read in order by one core', ...memory, values: gigabytes(readNs) },
  { id: 'roofline.update', what: '· read, changed and written', ...memory, values: gigabytes(updateNs) },
  { id: 'roofline.lookup', what: '· one look-up at random, 512 MiB', unit: 'ns CPU', values: lookupNs },
  {
    id: 'roofline.bytes',
    what: '· columns of a series on the real path: a sample touches at most these',
    unit: 'B/series',
    values: [bytes],
  },
  {
    id: 'roofline.floor.ns',
    what: '· · reading and writing them once',
    unit: 'ns CPU/sample',
    values: updateNs.map(each => each * bytes),
  },
  {
    id: 'roofline.path.ns',
    what: `· the path as it is, ${Number(args.series) / 1000} k series`,
    unit: 'ns CPU/sample',
    values: ns,
  },
  {
    id: 'roofline.share',
    what: '· of its time is memory, at least',
    unit: 'of 1',
    values: [(median(updateNs) * bytes) / median(ns)],
  },
]
say(measured)
