// Cost of tier-0 scoring: Ensemble.score + judge + learn over many series in order, several windows.
// npx tsx --expose-gc bench/tier0.ts [--series 1000000] [--windows 12] [--batch 4096] [--seasonal]
import { parseArgs } from 'node:util'
import { featureBatch, opinionBatch } from '../src/core/batch.ts'
import { SeriesTable } from '../src/core/series.ts'
import { AbsenceDetector } from '../src/detectors/absence.ts'
import { DeviationDetector } from '../src/detectors/deviation.ts'
import { Ensemble } from '../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../src/detectors/ensemble-options.ts'
import { SeasonalDetector } from '../src/detectors/seasonal.ts'
import { ShiftDetector } from '../src/detectors/shift.ts'

const { values: args } = parseArgs({
  options: {
    series: { type: 'string', default: '1000000' },
    windows: { type: 'string', default: '16' },
    batch: { type: 'string', default: '4096' },
    warm: { type: 'string', default: '26' },
    seasonal: { type: 'boolean', default: false },
  },
})
const count = Number(args.series)
const windows = Number(args.windows)
const rows = Number(args.batch)
const STEP_MS = 10_000

const series = new SeriesTable(count)
const labels = { service: 'bench' }
for (let i = 0; i < count; i++) {
  const meta = {
    tenant: 'default',
    metric: 'm',
    labels,
    entity: 'bench',
    unit: 's',
    kind: 'latency',
    bad: 'up',
  } as const
  series.intern({ ...meta, key: `m${i}` })
}
const context = { series, stepMs: STEP_MS }
const detectors = [new DeviationDetector(context), new ShiftDetector(context), new AbsenceDetector(context)]
if (args.seasonal) detectors.push(new SeasonalDetector(context, { seasonMs: 60_000 }) as never)
const ensemble = new Ensemble(detectors, ENSEMBLE_DEFAULTS, context)
const batch = featureBatch(rows, 0)
const out = opinionBatch(rows)
const weight = new Float32Array(rows).fill(1)
// A table of noise: drawing numbers must not be what is measured.
const noise = Float64Array.from(
  { length: 65_536 },
  (_, i) => 0.2 * Math.exp(0.3 * Math.sin(i * 12.9898) * Math.cos(i * 78.233)),
)

/** CPU time of this process: other work on the machine must not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

let [scoreMs, judgeMs, learnMs, anomalies] = [0, 0, 0, 0]
function fill(t: number, from: number): void {
  batch.length = Math.min(rows, count - from)
  for (let j = 0; j < batch.length; j++) {
    batch.series[j] = from + j
    batch.windowEndMs[j] = (t + 1) * STEP_MS
    batch.observed[j] = noise[(from + j * 7 + t * 7919) & 65_535]
    batch.coverage[j] = 1
  }
}
const WARM_UP = Number(args.warm)
let heapBytes = 0
for (let t = 0; t < WARM_UP + windows; t++) {
  if (t === WARM_UP) {
    ;[scoreMs, judgeMs, learnMs] = [0, 0, 0]
    globalThis.gc?.()
    heapBytes = -process.memoryUsage().heapUsed
  }
  for (let from = 0; from < count; from += rows) {
    fill(t, from)
    const a = cpuMs()
    await ensemble.score(batch, out)
    const b = cpuMs()
    anomalies += ensemble.judge(batch, out).length
    const c = cpuMs()
    ensemble.learn(batch, out, weight)
    const d = cpuMs()
    scoreMs += b - a
    judgeMs += c - b
    learnMs += d - c
  }
  if (t === WARM_UP) heapBytes += process.memoryUsage().heapUsed
}
const per = (ms: number) => ((ms * 1e6) / (count * windows)).toFixed(1)
console.log(
  JSON.stringify({
    series: count,
    detectors: detectors.map(d => d.id),
    nsPerSample: Number(per(scoreMs + judgeMs + learnMs)),
    score: Number(per(scoreMs)),
    judge: Number(per(judgeMs)),
    learn: Number(per(learnMs)),
    bytesPerSeries: Math.round(ensemble.bytes() / count),
    heapBytesPerSample: Number((heapBytes / count).toFixed(2)),
    anomalies,
  }),
)
