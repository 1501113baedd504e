// Ranking the suspects of one moment in which five thousand series of a hundred services are anomalous, with six hours
// of one-minute windows behind them.
// node --expose-gc --import tsx bench/measures/ranking.ts [--quick]
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable, seriesKey } from '../../src/core/series.ts'
import { DISRUPTION_DEFAULTS } from '../../src/disruptions/options.ts'
import { Disruptions } from '../../src/disruptions/stage.ts'
import { WindowHistory } from '../../src/features/history.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const SERIES = QUICK ? 200 : 5000
const ENTITIES = 100
const WINDOWS = 360
const STRANGE_WINDOWS = 5
const RUNS = QUICK ? 3 : 110
/** Runs that warm the code. */
const WARM = QUICK ? 1 : 10
const METRIC = 'server_duration_seconds:p99'

const options = { ...DISRUPTION_DEFAULTS, baselineWindows: WINDOWS, stepMs: 60_000 }
const { stepMs } = options
const series = new SeriesTable(SERIES)
for (let i = 0; i < SERIES; i++) {
  const entity = `service-${i % ENTITIES}`
  const labels = { service: entity, path: `/${i}` }
  const key = seriesKey(METRIC, labels, 'default')
  const what = { unit: 's', kind: 'latency', bad: 'up' } as const
  series.intern({ key, tenant: 'default', metric: METRIC, labels, entity, ...what })
}
const history = new WindowHistory({ stepMs, depth: WINDOWS + STRANGE_WINDOWS + 4 }, { series })
const stage = new Disruptions(options, { series, history })
const batch = featureBatch(SERIES, 0)
const opinions = opinionBatch(SERIES)
batch.length = SERIES
opinions.length = SERIES
let nowMs = 1_700_000_000_000 - (1_700_000_000_000 % stepMs)
for (let w = 0; w < WINDOWS + STRANGE_WINDOWS; w++) {
  nowMs += stepMs
  const factor = w >= WINDOWS ? 40 : 1
  for (let row = 0; row < SERIES; row++) {
    batch.series[row] = row
    batch.windowEndMs[row] = nowMs
    batch.observed[row] = factor * (0.05 + 0.002 * Math.sin(w * 1.7 + row))
  }
  stage.observe(batch, opinions, [])
  history.record(batch, opinions)
  stage.advance(nowMs)
}
collect()
const ms: number[] = []
const cpuMs: number[] = []
for (let run = 0; run < WARM + RUNS; run++) {
  const from = performance.now()
  const cpu = cpuNs()
  stage.explain(nowMs - STRANGE_WINDOWS * stepMs, 0)
  if (run < WARM) continue
  cpuMs.push((cpuNs() - cpu) / 1e6)
  ms.push(performance.now() - from)
}
const p99 = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(0.99 * sorted.length) - 1)]
}
const what = `ranking ${SERIES} anomalous series of ${ENTITIES} services`
const measured: Measured[] = [
  { id: 'ranking.ms', what, unit: 'ms wall', values: ms },
  { id: 'ranking.p99.ms', what: '· at the 99th percentile', unit: 'ms wall', atMost: 50, values: [p99(ms)] },
  { id: 'ranking.cpu.ms', what: '· CPU', unit: 'ms CPU', values: cpuMs },
  {
    id: 'ranking.cpu.p99.ms',
    what: '· · at the 99th percentile',
    unit: 'ms CPU',
    atMost: 50,
    values: [p99(cpuMs)],
  },
]
say(measured)
