// Tier-0 scoring of columns: Ensemble.score + judge + learn over many series in order, one repetition a window.
// node --expose-gc --import tsx bench/measures/tier0.ts [--quick] [--series N] [--windows N]
import { parseArgs } from 'node:util'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { AbsenceDetector } from '../../src/detectors/absence.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { ShiftDetector } from '../../src/detectors/shift.ts'
import { collect, cpuNs, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '20000' : '1000000' },
    windows: { type: 'string', default: QUICK ? '5' : '12' },
    /** Windows before the first that counts: tails are fitted and the loops are compiled. */
    warm: { type: 'string', default: '26' },
    batch: { type: 'string', default: '2048' },
  },
})
const count = Number(args.series)
const windows = Number(args.windows)
const warm = Number(args.warm)
const rows = Number(args.batch)
const STEP_MS = 10_000

const series = new SeriesTable(count)
const meta = {
  tenant: 'default',
  metric: 'm',
  labels: { service: 'bench' },
  entity: 'bench',
  unit: 's',
  kind: 'latency',
  bad: 'up',
} as const
for (let i = 0; i < count; i++) series.intern({ ...meta, key: `m${i}` })
const context = { series, stepMs: STEP_MS }
const detectors = [new DeviationDetector(context), new ShiftDetector(context), new AbsenceDetector(context)]
const ensemble = new Ensemble(detectors, ENSEMBLE_DEFAULTS, context)
/** Reading the CPU clock costs tens of microseconds: many batches are filled first and timed as one. */
const group = Array.from({ length: Math.max(1, Math.floor(65_536 / rows)) }, () => featureBatch(rows, 0))
const out = opinionBatch(rows)
const weight = new Float32Array(rows).fill(1)
const noise = Float64Array.from(
  { length: 65_536 },
  (_, i) => 0.2 * Math.exp(0.3 * Math.sin(i * 12.9898) * Math.cos(i * 78.233)),
)

function fill(t: number, from: number): void {
  for (const [b, batch] of group.entries()) {
    const first = from + b * rows
    batch.length = Math.max(0, Math.min(rows, count - first))
    for (let j = 0; j < batch.length; j++) {
      batch.series[j] = first + j
      batch.windowEndMs[j] = (t + 1) * STEP_MS
      batch.observed[j] = noise[(first + j * 7 + t * 7919) & 65_535]
      batch.coverage[j] = 1
    }
  }
}

const all: number[] = []
const heap: number[] = []
let anomalies = 0
for (let t = 0; t < warm + windows; t++) {
  let ns = 0
  if (t >= warm) collect()
  const heapBefore = process.memoryUsage().heapUsed
  for (let from = 0; from < count; from += rows * group.length) {
    fill(t, from)
    const before = cpuNs()
    for (const batch of group) {
      await ensemble.score(batch, out)
      anomalies += ensemble.judge(batch, out).length
      ensemble.learn(batch, out, weight)
    }
    ns += cpuNs() - before
  }
  if (t < warm) continue
  heap.push((process.memoryUsage().heapUsed - heapBefore) / count)
  all.push(ns / count)
}
const size = count >= 1e6 ? `${count / 1e6} M` : String(count)
say([
  {
    id: 'tier0.ns',
    what: `tier-0 scoring of columns, ${size} series: score, judge and learn`,
    unit: 'ns CPU/sample',
    atMost: 150,
    values: all,
  },
  { id: 'tier0.heap', what: '· heap allocated', unit: 'B/sample', atMost: 1, values: heap },
  {
    id: 'tier0.bytes',
    what: '· learned state',
    unit: 'B/series',
    values: [ensemble.bytes() / (Math.ceil(count / 65_536) * 65_536)],
  },
])
if (anomalies > count / 100) process.stderr.write(`${anomalies} anomalies: more than noise should give\n`)
