// The disruption stage of a large fleet while all is well and while a hundred of its services fail at once: CPU of the rows
// and of the end of a window. One process, without detectors: evidence is made up. A digest of all events says whether two
// versions tell the same.
// node --expose-gc --import tsx bench/measures/failing.ts [--quick] [--rows N] [--services N] [--failing N] [--graph] [--board]
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { Anomaly } from '../../src/core/anomaly.ts'
import { type FeatureBatch, featureBatch, type OpinionBatch, opinionBatch } from '../../src/core/batch.ts'
import { contentId } from '../../src/core/identity.ts'
import { KIND_TRAITS, metricKind } from '../../src/core/metric-kind.ts'
import { type SeriesMeta, SeriesTable, seriesKey } from '../../src/core/series.ts'
import type { AnomalyChange } from '../../src/core/stages.ts'
import { DISRUPTION_DEFAULTS } from '../../src/disruptions/options.ts'
import { Disruptions } from '../../src/disruptions/stage.ts'
import { nextWhere, WindowHistory } from '../../src/features/history.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    rows: { type: 'string', default: QUICK ? '20000' : '1000000' },
    services: { type: 'string', default: QUICK ? '200' : '10000' },
    failing: { type: 'string', default: QUICK ? '5' : '100' },
    /** Series with a past, beside those of the services that fail. */
    rich: { type: 'string', default: QUICK ? '1000' : '10000' },
    graph: { type: 'boolean', default: false },
    windows: { type: 'string', default: '12' },
  },
})
const rows = Number(args.rows)
const services = Number(args.services)
const failing = Number(args.failing)
const windows = Number(args.windows)
const each = Math.floor(rows / services)
const STEP_MS = 15_000
const T0 = 1_700_000_000_000 - (1_700_000_000_000 % STEP_MS)
/** Windows before anything is counted. */
const WARM = 14
/** Windows after the faults. */
const AFTER = 8
const BATCH = 65_536

const METRICS: readonly (readonly [metric: string, unit: string])[] = [
  ['server_duration_seconds:p99', 's'],
  ['errors_ratio', 'ratio'],
  ['requests_total:rate', '{req}/s'],
  ['cpu_ratio', 'ratio'],
  ['memory_bytes', 'By'],
  ['network_bytes:rate', 'By/s'],
  ['pool_utilization_ratio', 'ratio'],
  ['disk_bytes:rate', 'By/s'],
  ['queue_length', ''],
  ['threads', ''],
]

const table = new SeriesTable(rows)
for (let row = 0; row < rows; row++) table.intern(metaOf(row))

function metaOf(row: number): SeriesMeta {
  const service = `service-${String(Math.floor(row / each)).padStart(5, '0')}`
  const inside = row % each
  const [metric, unit] = METRICS[inside % METRICS.length]
  const instance = `${service}-${Math.floor(inside / METRICS.length)}`
  const namespace = `team-${Math.floor(row / each) % 40}`
  const labels = { namespace, service, instance }
  const kind = metricKind(metric, unit)
  const bad = KIND_TRAITS[kind].bad
  return {
    key: seriesKey(metric, labels),
    tenant: 'default',
    metric,
    labels,
    entity: service,
    unit,
    kind,
    bad,
  }
}

/** Which fault a service has: one of two is slow, the other is down. */
const faultOf = new Uint8Array(services)
for (let f = 0; f < failing; f++) faultOf[Math.floor(((f + 0.5) * services) / failing)] = f % 2 === 0 ? 1 : 2
const richEvery = Math.max(1, Math.floor(rows / Number(args.rich)))
const keeps = (row: number) => faultOf[Math.floor(row / each)] > 0 || row % richEvery === 0
const history = new WindowHistory(
  { stepMs: STEP_MS, budgetBytes: 400e6, nextKept: nextWhere(keeps) },
  { series: table },
)
const stage = new Disruptions({ ...DISRUPTION_DEFAULTS, stepMs: STEP_MS }, { series: table, history })
if (args.graph) {
  const edges = Array.from({ length: services - 1 }, (_, i) => ({
    source: table.meta(Math.floor(i / 8) * each).entity,
    target: table.meta((i + 1) * each).entity,
  }))
  stage.addEdges(edges, T0)
}

const random = mulberry32(1)
const noise = Float64Array.from({ length: BATCH }, () => random())
const batch = featureBatch(BATCH, 0)
const opinions = opinionBatch(BATCH)
const weight = new Float32Array(BATCH)
const open = new Map<number, Anomaly>()
const digest = createHash('sha256')
let told = 0

function fill(
  first: number,
  count: number,
  t: number,
  isFailing: boolean,
  into: FeatureBatch,
  says: OpinionBatch,
): void {
  into.length = count
  says.length = count
  const endMs = T0 + (t + 1) * STEP_MS
  for (let i = 0; i < count; i++) {
    const row = first + i
    const fault = isFailing ? faultOf[Math.floor(row / each)] : 0
    const kind = (row % each) % METRICS.length
    const wobble = noise[(row * 31 + t * 7919) & (BATCH - 1)]
    const base = kind === 1 || kind === 3 || kind === 6 ? 0.01 : 100
    const isHit = fault === 2 || (fault === 1 && (kind < 2 || kind === 3 || kind === 6))
    into.series[i] = row
    into.windowEndMs[i] = endMs
    into.observed[i] = fault === 2 ? Number.NaN : base * (1 + 0.05 * wobble) * (isHit ? 6 : 1)
    into.coverage[i] = fault === 2 ? 0 : 1
    says.expected[i] = base
    says.lower[i] = base * 0.9
    says.upper[i] = base * 1.1
    says.direction[i] = 1
    says.surprise[i] = isHit ? 6 + 6 * wobble : wobble
    says.evidence[i] = isHit ? (fault === 2 ? 8 : 6 + 2 * wobble) : wobble < 0.7 ? 0 : wobble
  }
}

function changesOf(first: number, count: number, t: number, failingFor: number): AnomalyChange[] {
  const out: AnomalyChange[] = []
  const endMs = T0 + (t + 1) * STEP_MS
  for (let row = first; row < first + count; row++) {
    const known = open.get(row)
    const i = row - first
    const isHit = opinions.evidence[i] > 5
    if (!known && !(isHit && failingFor >= 1)) continue
    const surprise = opinions.surprise[i]
    if (known && !isHit) {
      open.delete(row)
      out.push({ event: 'closed', anomaly: { ...known, status: 'closed' } })
    } else if (known && surprise > known.surprise + 1) {
      const stronger: Anomaly = { ...known, endMs, surprise, severity: surprise > 10 ? 'critical' : 'major' }
      open.set(row, stronger)
      out.push({ event: 'updated', anomaly: stronger })
    } else if (!known) {
      const { key, metric, labels, entity, tenant } = table.meta(row)
      const isAbsent = Number.isNaN(batch.observed[i])
      const anomaly: Anomaly = {
        id: contentId('a', key, endMs),
        series: row,
        key,
        metric,
        labels,
        entity,
        tenant,
        status: 'open',
        startMs: endMs - 2 * STEP_MS,
        endMs,
        detectedMs: endMs,
        observed: batch.observed[i],
        expected: opinions.expected[i],
        lower: opinions.lower[i],
        upper: opinions.upper[i],
        direction: isAbsent ? 'absent' : 'spike',
        surprise,
        tailProbability: 10 ** -surprise,
        score: 80,
        severity: 'major',
        imputed: false,
        detectors: [{ id: 'pooled@1', share: 1 }],
        why: [`${metric} is strange`],
      }
      open.set(row, anomaly)
      out.push({ event: 'opened', anomaly })
    }
  }
  return out
}

interface Cost {
  readonly observe: number
  readonly weigh: number
  readonly advance: number
}

function window(t: number, isFailing: boolean, failingFor: number): Cost {
  let [observe, weigh] = [0, 0]
  for (let first = 0; first < rows; first += BATCH) {
    const count = Math.min(BATCH, rows - first)
    fill(first, count, t, isFailing, batch, opinions)
    const changes = changesOf(first, count, t, failingFor)
    let from = cpuNs()
    stage.observe(batch, opinions, changes)
    observe += cpuNs() - from
    history.record(batch, opinions)
    from = cpuNs()
    stage.weigh(batch, weight)
    weigh += cpuNs() - from
  }
  const from = cpuNs()
  const events = stage.advance(T0 + (t + 1) * STEP_MS)
  const advance = cpuNs() - from
  for (const event of events) digest.update(JSON.stringify(event))
  told += events.length
  return { observe: observe / rows, weigh: weigh / rows, advance: advance / 1e6 }
}

let t = 0
for (; t < WARM; t++) window(t, false, 0)
collect()
const quiet: Cost[] = []
for (let w = 0; w < windows; w++) quiet.push(window(t++, false, 0))
collect()
const failed: Cost[] = []
for (let w = 0; w < windows; w++) failed.push(window(t++, true, w))
const after: Cost[] = []
for (let w = 0; w < AFTER; w++) after.push(window(t++, false, 0))
digest.update(JSON.stringify(stage.board()))
digest.update(JSON.stringify(stage.dropped()))
process.stderr.write(
  `${told} events, ${stage.board().length} on the board, digest ${digest.digest('hex').slice(0, 16)}\n`,
)
process.stderr.write(`advance, ms: quiet ${shown(quiet)}; failing ${shown(failed)}; after ${shown(after)}\n`)

function shown(costs: readonly Cost[]): string {
  return costs.map(({ advance }) => advance.toFixed(0)).join(' ')
}
const of = (id: string, what: string, unit: string, values: readonly number[]): Measured => ({
  id: `failing.${id}`,
  what,
  unit,
  values,
})
const whole = (cost: Cost) => ((cost.observe + cost.weigh) * rows) / 1e6 + cost.advance
/** What a window costs, by its parts and in all. */
const parts = (prefix: string, when: string, costs: readonly Cost[]) => [
  of(
    `${prefix}observe`,
    `${when}: taking a row in`,
    'ns CPU/row',
    costs.map(c => c.observe),
  ),
  of(
    `${prefix}weigh`,
    '· weighing it',
    'ns CPU/row',
    costs.map(c => c.weigh),
  ),
  of(
    `${prefix}advance`,
    '· the end of a window',
    'ms CPU',
    costs.map(c => c.advance),
  ),
  of(`${prefix}window`, '· a window in all', 'ms CPU', costs.map(whole)),
]
say([
  ...parts('quiet.', `disruptions of ${rows} rows, ${services} services`, quiet),
  ...parts('', `while ${failing} services fail`, failed),
])
