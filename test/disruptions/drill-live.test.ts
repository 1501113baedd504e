// Shows which label values explain that a ratio of live metrics rose: failures over requests of one metric with a
// status label, or of two metrics; held against the stretches before, more traffic saying more; that a disruption is
// looked into by itself; and what cannot be divided is refused with the reason.
import { expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { historyColumns } from '../../src/core/history.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { drillDisruption, drillLive } from '../../src/disruptions/drill-live.ts'
import { metaOf } from '../../src/ingest/naming.ts'
import { INTAKE_DEFAULTS } from '../../src/ingest/options.ts'
import { MemoryHistory, NOW_MS } from '../serve/world.ts'

const DEPTH = 120
const WINDOWS = 5
const REQUESTS = 'http_requests_total:rate'

type Labels = Record<string, string>

class Live {
  readonly table = new SeriesTable()
  readonly history = new MemoryHistory()

  add(metric: string, labels: Labels, observedAt: (window: number) => number): void {
    const row = this.table.intern(metaOf('default', metric, labels, '1/s', INTAKE_DEFAULTS))
    const columns = historyColumns(DEPTH)
    for (let w = 0; w < DEPTH; w++) columns.observed[w] = observedAt(w - (DEPTH - WINDOWS))
    this.history.rows.set(row, columns)
  }

  ask(question: Partial<Parameters<typeof drillLive>[2]> = {}) {
    return drillLive(this.table, this.history, {
      tenant: undefined,
      metric: REQUESTS,
      over: REQUESTS,
      entity: 'shop',
      atMs: undefined,
      windows: WINDOWS,
      ...question,
    })
  }
}

const CELLS = ['eu', 'us', 'asia'].flatMap(region =>
  ['v1', 'v2', 'v3'].flatMap(version => ['p1', 'p2'].map(pod => ({ region, version, pod }))),
)

/** 1 % of failures, 30 % where `broken` and from window 0 on; `rise` multiplies all traffic from then on. */
function world(broken: (cell: Labels) => boolean, { rise = 1, twoMetrics = false } = {}): Live {
  const live = new Live()
  for (const [i, cell] of CELLS.entries()) {
    const traffic = (w: number): number => (10 + i + Math.sin(w * (i + 1))) * (w >= 0 ? rise : 1)
    const share = (w: number): number => (w >= 0 && broken(cell) ? 0.3 : 0.01)
    const labels = { service: 'shop', ...cell, pod: `${cell.region}-${cell.version}-${cell.pod}` }
    const failed = (w: number): number => traffic(w) * share(w)
    if (twoMetrics) {
      live.add(REQUESTS, labels, traffic)
      live.add('http_errors_total:rate', { ...labels, reason: 'timeout' }, failed)
    } else {
      live.add(REQUESTS, { ...labels, status: '200' }, w => traffic(w) - failed(w))
      live.add(REQUESTS, { ...labels, status: '500' }, failed)
    }
  }
  return live
}

const inUsV2 = ({ region, version }: Labels): boolean => region === 'us' && version === 'v2'

it('names the label values whose share of failures rose, with both shares', () => {
  for (const twoMetrics of [false, true]) {
    const metric = twoMetrics ? 'http_errors_total:rate' : REQUESTS
    const one = world(({ version }) => version === 'v3', { twoMetrics })
    const [first] = one.ask({ metric })
    expect({ ...first.where }).toEqual({ version: 'v3' })
    expect(first.observed).toBeCloseTo(0.3, 2)
    expect(first.expected).toBeCloseTo(0.01, 2)
    expect({ ...world(inUsV2, { twoMetrics }).ask({ metric })[0].where }).toEqual({
      region: 'us',
      version: 'v2',
    })
  }
})

it('more traffic with the same share of failures explains nothing; the rise of the share does', () => {
  const calm = world(() => false, { rise: 3 })
  expect(Math.max(0, ...calm.ask().map(one => one.score))).toBeLessThan(0.2)
  expect({ ...world(inUsV2, { rise: 3 }).ask()[0].where }).toEqual({ region: 'us', version: 'v2' })
})

it('looks at the moment asked for', () => {
  const atMs = NOW_MS - WINDOWS * 10_000
  const before = world(inUsV2).ask({ atMs })
  expect(Math.max(0, ...before.map(one => one.score))).toBeLessThan(0.2)
})

it('one series with very many values of one label is looked through', () => {
  const live = world(inUsV2)
  for (let i = 0; i < 20_000; i++) {
    const labels = { service: 'shop', region: 'eu', version: 'v1', pod: `user-${i}`, status: '200' }
    live.add(REQUESTS, labels, () => 0.01)
  }
  expect({ ...live.ask()[0].where }).toEqual({ region: 'us', version: 'v2' })
})

it('looks into a disruption: the cause first, by shares of failures before traffic', () => {
  const live = world(inUsV2)
  const disruption = {
    tenant: 'default',
    startedAt: new Date(NOW_MS - WINDOWS * 10_000).toISOString(),
    entity: 'web',
    entities: ['shop', 'web'],
    suspects: [{ entity: 'shop' }],
  } as unknown as Disruption
  const answer = drillDisruption(live.table, live.history, disruption, WINDOWS)
  expect(answer.question).toEqual({ metric: REQUESTS, over: REQUESTS, entity: 'shop' })
  expect({ ...answer.explanations[0].where }).toEqual({ region: 'us', version: 'v2' })
  const other = { ...disruption, suspects: [], entity: 'web', entities: ['web'] }
  expect(() => drillDisruption(live.table, live.history, other, WINDOWS)).toThrow(/counts requests/)
})

it('refuses what cannot be divided, is not there, or is too long ago', () => {
  const live = world(inUsV2)
  const refused = (question: Parameters<Live['ask']>[0]) => expect(() => live.ask(question))
  refused({ over: 'nothing' }).toThrow(/no series of "nothing".*below/)
  refused({ metric: 'nothing' }).toThrow(/no series of "nothing".*above/)
  refused({ tenant: 'other' }).toThrow(/no series/)
  refused({ atMs: NOW_MS - 10_000_000 }).toThrow(/further back/)
  live.table.intern(metaOf('default', 'error_ratio', { service: 'shop' }, 'ratio', INTAKE_DEFAULTS))
  refused({ metric: 'error_ratio' }).toThrow(/is a ratio already/)
})
