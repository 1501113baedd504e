// What questions about a large fleet cost, and for how long they hold up everybody else: entities, selectors of the
// Prometheus API, and a drill into one metric, in the process that holds the series.
// node --expose-gc --import tsx bench/measures/queries.ts [--quick] [--series N]
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable, seriesKey } from '../../src/core/series.ts'
import { drillLive } from '../../src/disruptions/drill-live.ts'
import { nextWhere, WindowHistory } from '../../src/features/history.ts'
import type { ServeDeps } from '../../src/serve/deps.ts'
import { EntityCounts } from '../../src/serve/entity-count.ts'
import { select } from '../../src/serve/prometheus/samples.ts'
import { parseSelector } from '../../src/serve/prometheus/selector.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: { quick: { type: 'boolean' }, series: { type: 'string', default: QUICK ? '20000' : '1000000' } },
})
const count = Number(args.series)
const RUNS = QUICK ? 2 : 5
const STEP_MS = 15_000
const PER_SERVICE = 100

const series = new SeriesTable(count)
for (let i = 0; i < count; i++) {
  const entity = `service-${Math.floor(i / PER_SERVICE)}`
  const labels = { namespace: `team-${i % 40}`, service: entity, pod: `${entity}-${Math.floor(i / 10) % 10}` }
  const metric = `metric_${i % 10}:rate`
  const key = seriesKey(metric, labels)
  series.intern({
    key,
    tenant: 'default',
    metric,
    labels,
    entity,
    unit: '{req}/s',
    kind: 'traffic',
    bad: 'both',
  })
}
const history = new WindowHistory({ stepMs: STEP_MS, nextKept: nextWhere(row => row % 30 === 0) }, { series })
const batch = featureBatch(65_536, 0)
const opinions = opinionBatch(65_536)
for (let w = 1; w <= 20; w++) {
  for (let first = 0; first < count; first += 65_536) {
    batch.length = Math.min(65_536, count - first)
    for (let i = 0; i < batch.length; i++) {
      batch.series[i] = first + i
      batch.windowEndMs[i] = w * STEP_MS
      batch.observed[i] = 10 + ((first + i) % 7)
    }
    history.record(batch, opinions)
  }
}
// Only what selectors read.
const deps = {
  series,
  history,
  openSurprise: 4,
  board: () => [],
  index: { disruptions: async () => ({ items: [] }) },
}

async function cost(id: string, what: string, ask: () => unknown): Promise<Measured[]> {
  const [cpuMs, blockMs]: [number[], number[]] = [[], []]
  for (let run = 0; run < RUNS; run++) {
    collect()
    let isDone = false
    let longest = 0
    let last = cpuNs()
    const others = (async () => {
      while (!isDone) {
        await setImmediate()
        const now = cpuNs()
        longest = Math.max(longest, now - last)
        last = now
      }
    })()
    const from = cpuNs()
    await ask()
    cpuMs.push((cpuNs() - from) / 1e6)
    isDone = true
    await others
    blockMs.push(longest / 1e6)
  }
  return [
    { id: `queries.${id}.cpu`, what, unit: 'ms CPU', values: cpuMs },
    {
      id: `queries.${id}.block`,
      what: '· without others in between, at most',
      unit: 'ms CPU',
      values: blockMs,
    },
  ]
}
const wanted = (text: string, valued: boolean) => () =>
  select(deps as unknown as ServeDeps, undefined, parseSelector(text), valued)
const drill = {
  tenant: undefined,
  metric: 'metric_0:rate',
  entity: 'service-30',
  atMs: undefined,
  windows: 5,
}
say([
  ...(await cost('entities', `entities of ${count} series`, () =>
    new EntityCounts(() => series, Date.now).all(),
  )),
  ...(await cost('values', 'values of one entity by Prometheus', wanted('y{entity="service-7"}', true))),
  ...(await cost('series', 'names of the series of one entity', wanted('y{entity="service-7"}', false))),
  ...(await cost('label', 'names of series by a label', wanted('y{pod="service-7-3"}', false))),
  ...(await cost('drill', 'a drill into a metric of one entity', () => drillLive(series, history, drill))),
])
