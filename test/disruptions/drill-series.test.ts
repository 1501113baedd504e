// Shows which label values explain a deviation of a live metric, from the series table and the history that the
// service keeps: by what detectors expected, by a series' own past where they expected nothing, for new label values,
// at an earlier moment; and that what cannot be added up is refused with the reason.
import { expect, it } from 'vitest'
import { historyColumns } from '../../src/core/history.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { drillSeries } from '../../src/disruptions/drill-series.ts'
import { metaOf } from '../../src/ingest/naming.ts'
import { INTAKE_DEFAULTS } from '../../src/ingest/options.ts'
import { MemoryHistory, NOW_MS } from '../serve/world.ts'

const DEPTH = 60
const METRIC = 'http_requests_total:rate'

/** Requests a second by region, version and pod: 100 each, `part` of it in the last five windows where `hit`. */
function world(
  hit: (labels: Record<string, string>) => number,
  { expected = true, bornLate = '' } = {},
): { table: SeriesTable; history: MemoryHistory } {
  const table = new SeriesTable()
  const history = new MemoryHistory()
  let i = 0
  for (const region of ['eu', 'us', 'asia']) {
    for (const version of ['v1', 'v2']) {
      for (const pod of ['p1', 'p2', 'p3']) {
        const labels = { service: 'shop', region, version, pod: `${region}-${version}-${pod}` }
        const row = table.intern(metaOf('default', METRIC, labels, '1/s', INTAKE_DEFAULTS))
        const columns = historyColumns(DEPTH)
        for (let w = 0; w < DEPTH; w++) {
          const calm = 100 * (1 + 0.005 * Math.sin(w + 3 * i))
          const late = version === bornLate
          columns.observed[w] = w < DEPTH - 5 ? (late ? Number.NaN : calm) : calm * hit(labels)
          columns.expected[w] = expected && !late ? 100 : Number.NaN
        }
        history.rows.set(row, columns)
        i++
      }
    }
  }
  return { table, history }
}

const ask = { tenant: undefined, metric: METRIC, entity: undefined, atMs: undefined, windows: 5 }

it('names one region, and one version of one region', () => {
  for (const expected of [true, false]) {
    const one = world(({ region }) => (region === 'us' ? 0.4 : 1), { expected })
    const [first] = drillSeries(one.table, one.history, ask)
    expect({ ...first.where }).toEqual({ region: 'us' })
    expect(first.observed / first.expected).toBeCloseTo(0.4, 1)
  }
  const two = world(({ region, version }) => (region === 'eu' && version === 'v2' ? 3 : 1))
  expect({ ...drillSeries(two.table, two.history, ask)[0].where }).toEqual({ region: 'eu', version: 'v2' })
})

it('a version that was not there before explains what is new', () => {
  const { table, history } = world(() => 1, { bornLate: 'v2' })
  expect({ ...drillSeries(table, history, ask)[0].where }).toEqual({ version: 'v2' })
})

it('looks at the moment asked for: before the fault there is nothing to explain', () => {
  const { table, history } = world(({ region }) => (region === 'us' ? 0.4 : 1))
  const atMs = NOW_MS - 10 * history.stepMs
  expect(drillSeries(table, history, { ...ask, atMs })).toEqual([])
})

it('refuses what cannot be added up, is not there, or is too long ago', () => {
  const { table, history } = world(() => 2)
  const refused = (
    change: Partial<typeof ask> | { entity: string } | { atMs: number } | { tenant: string },
  ) => expect(() => drillSeries(table, history, { ...ask, ...change }))
  refused({ metric: 'nothing' }).toThrow(/no series of "nothing"/)
  refused({ entity: 'nobody' }).toThrow(/no series/)
  refused({ tenant: 'other' }).toThrow(/no series/)
  refused({ atMs: NOW_MS - 1000 * history.stepMs }).toThrow(/further back/)
  const latency = metaOf('default', 'latency_seconds:p99', { service: 'shop' }, 's', INTAKE_DEFAULTS)
  table.intern(latency)
  refused({ metric: 'latency_seconds:p99' }).toThrow(/no count or rate/)
  const lone = table.intern(metaOf('default', 'jobs_total:rate', { service: 'shop' }, '1/s', INTAKE_DEFAULTS))
  const columns = historyColumns(DEPTH)
  columns.observed.fill(1)
  history.rows.set(lone, columns)
  refused({ metric: 'jobs_total:rate' }).toThrow(/differ in no label/)
})
