// The multivariate detector alone: 1,000 entities of 20 metrics at 10 s, score and learn, one repetition a window, over
// two refreshes of every entity; what a window costs at most, and the memory and the copy for a checkpoint.
// node --expose-gc --import tsx bench/measures/entities.ts [--quick]
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { RidgeMember } from '../../src/detectors/ridge-member.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { cpuNs, type Measured, QUICK, say } from '../measure.ts'

const ENTITIES = QUICK ? 50 : 1000
const METRICS = 20
const STEP_MS = 10_000
/** The shortest warm-up: how long it lasts changes only the memory held until then. */
const WARM_UP = 60
/** Entities warm up one after the other over a minute of windows; then two refreshes of each are measured. */
const FROM = 2 * WARM_UP + 1
const WINDOWS = QUICK ? 12 : 120

const series = new SeriesTable(ENTITIES * METRICS)
for (let e = 0; e < ENTITIES; e++) {
  for (let m = 0; m < METRICS; m++) {
    const key = `m${m}{service="${e}"}`
    series.intern({
      key,
      tenant: 'default',
      metric: `m${m}`,
      labels: {},
      entity: `e${e}`,
      unit: '',
      kind: m < 4 ? 'latency' : 'other',
      bad: 'both',
    })
  }
}
const random = mulberry32(1)
const noise = Float64Array.from({ length: 65_536 }, () => random() + random() + random() - 1.5)
const batch = featureBatch(ENTITIES * METRICS, 0)
const out = scoreBatch(ENTITIES * METRICS)
const weight = new Float32Array(ENTITIES * METRICS).fill(1)
batch.length = ENTITIES * METRICS

function fill(t: number): void {
  for (let e = 0, i = 0; e < ENTITIES; e++) {
    const load = 100 + 30 * Math.sin(t / 300 + e) + 8 * noise[(e * 31 + t * 7919) & 65_535]
    for (let m = 0; m < METRICS; m++, i++) {
      batch.series[i] = i
      batch.windowEndMs[i] = (t + 1) * STEP_MS
      batch.observed[i] = (m + 1) * (load + 2 * noise[(i * 7 + t * 104_729) & 65_535])
    }
  }
}

const options = { maxMetrics: 120, budgetBytes: 256 * 1_048_576, cpuShare: 0.1, warmUpMax: WARM_UP }
const member = new RidgeMember({ series, stepMs: STEP_MS }, options)
const entityNs: number[] = []
const windowMs: number[] = []
for (let t = 0; t < FROM + WINDOWS; t++) {
  fill(t)
  const before = cpuNs()
  await member.score(batch, out)
  member.learn(batch, weight)
  const ns = cpuNs() - before
  if (t < FROM) continue
  entityNs.push(ns / ENTITIES)
  windowMs.push(ns / 1e6)
}
const { entities } = member.counts()
if (entities !== ENTITIES) throw new Error(`${entities} of ${ENTITIES} entities fit the budget`)
const bytes = member.bytes()
const beforeCopy = cpuNs()
const saved = member.snapshot()
const copyMs = (cpuNs() - beforeCopy) / 1e6
const savedBytes = Object.values(saved.columns).reduce((sum, column) => sum + column.byteLength, 0)
const restored = new RidgeMember({ series, stepMs: STEP_MS }, options)
const beforeRestore = cpuNs()
restored.restore(saved)
const restoreMs = (cpuNs() - beforeRestore) / 1e6

const measured: Measured[] = [
  {
    id: 'entities.us',
    what: `ridge@1, score and learn, ${ENTITIES} entities of ${METRICS} metrics at 10 s`,
    unit: 'µs CPU/entity-window',
    values: entityNs.map(ns => ns / 1000),
  },
  {
    id: 'entities.window',
    what: '· a window of all of them',
    unit: 'ms CPU',
    atMost: 1000,
    values: windowMs,
  },
  { id: 'entities.bytes', what: '· learned state', unit: 'B/entity', values: [bytes / ENTITIES] },
  { id: 'entities.saved', what: '· in a checkpoint', unit: 'B/entity', values: [savedBytes / ENTITIES] },
  { id: 'entities.copy', what: '· copying it for a checkpoint', unit: 'ms CPU', values: [copyMs] },
  { id: 'entities.restore', what: '· restoring it', unit: 'ms CPU', values: [restoreMs] },
]
say(measured)
