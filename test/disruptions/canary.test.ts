// Shows that versions are told apart: with a healthy and a broken release going out together, the broken one is
// named with the numbers of new against old; a release that never reports is named; copies must agree; a copy told
// under the name of the one it replaced and a slow first minute mislead nobody; of two releases minutes apart the
// evidence decides, not the minutes.
import { describe, expect, it } from 'vitest'
import { KIND_TRAITS } from '../../src/core/metric-kind.ts'
import { type SeriesMeta, seriesKey } from '../../src/core/series.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { Bench } from './bench.ts'

const STEP = 60_000
const START = Date.UTC(2026, 0, 5)
const HEALTHY_S = 0.05

function latency(service: string, version: string, pod: string): SeriesMeta {
  const labels = { service, version, pod, client: 'edge', server: service }
  return {
    key: seriesKey('call_latency_seconds', labels),
    tenant: 'default',
    metric: 'call_latency_seconds',
    labels,
    entity: service,
    unit: 's',
    kind: 'latency',
    bad: KIND_TRAITS.latency.bad,
  }
}

interface Fleet {
  readonly bench: Bench
  /** Start of the window in which the releases go out, Unix ms. */
  readonly releaseMs: number
}

interface Rollout {
  /** Windows since the release. */
  readonly level: (service: string, version: string, copy: number, window: number) => number
  /** The old copy whose place the new one takes: its series goes on with the new copy's values. */
  readonly replaced?: number
  /** How long before the first window with the new versions each service was released, ms. */
  readonly agoMs?: Readonly<Record<string, number>>
}

/** Thirty windows of two services with four old copies each; then releases, and six windows with them. */
function release(level: Rollout['level'], { replaced, agoMs = {} }: Omit<Rollout, 'level'> = {}): Fleet {
  const bench = new Bench({ stepMs: STEP, baselineWindows: 60, postWindows: 5 })
  const random = mulberry32(3)
  const old = ['cart', 'search'].flatMap(service =>
    [0, 1, 2, 3].map(copy => ({
      service,
      version: 'v1',
      copy,
      row: bench.add(latency(service, 'v1', `o${copy}`)),
    })),
  )
  const fresh = ['cart', 'search'].map(service => ({
    service,
    version: 'v2',
    copy: 0,
    row: bench.add(latency(service, 'v2', 'n0')),
  }))
  const windows = 30
  const releaseMs = START + windows * STEP
  for (let w = 0; w < windows + 6; w++) {
    const values = new Map<number, number>()
    for (const { service, version, copy, row } of w < windows ? old : [...old, ...fresh]) {
      const value = w < windows ? HEALTHY_S : level(service, version, copy, w - windows)
      values.set(row, value * (0.95 + 0.1 * random()))
    }
    for (const { service, copy, row } of w < windows ? [] : old) {
      const twin = fresh.find(one => one.service === service)
      if (twin && copy === replaced) values.set(row, values.get(twin.row) ?? Number.NaN)
    }
    bench.window(START + (w + 1) * STEP, values)
  }
  for (const entity of ['cart', 'search']) {
    const timeMs = releaseMs - (agoMs[entity] ?? 1000)
    bench.stage.change({ id: `d ${entity}`, timeMs, entity, kind: 'deploy', ref: 'v2' })
  }
  return { bench, releaseMs }
}

describe('releases side by side', () => {
  it('names the one whose new version differs from its old one', () => {
    const { bench, releaseMs } = release((service, version) =>
      service === 'cart' && version === 'v2' ? 0.9 : HEALTHY_S,
    )
    const suspects = bench.stage.explain(releaseMs, 0)
    expect(suspects[0].entity).toBe('cart')
    expect(suspects[0].why.join('; ')).toMatch(/new version: call latency 9\d\d ms, expected \d\d(\.\d)? ms/)
    expect(suspects.find(one => one.entity === 'search')?.score ?? 0).toBeLessThan(suspects[0].score / 2)
  })

  it('compares with the old copies only, not with one whose place the new one took', () => {
    const level = (service: string, version: string): number =>
      service === 'cart' && version === 'v2' ? 0.9 : HEALTHY_S
    const apart = release(level).bench
    const taken = release(level, { replaced: 3 })
    const [first] = taken.bench.stage.explain(taken.releaseMs, 0)
    expect(first.entity).toBe('cart')
    // What only the new version shows is as strange as where the old copies are all themselves.
    expect(first.why.join('; ')).toMatch(/new version: call latency 9\d\d ms, expected \d\d(\.\d)? ms/)
    expect(first.score).toBeGreaterThanOrEqual(apart.stage.explain(taken.releaseMs, 0)[0].score)
  })

  it('does not take a slow first minute for a bad release', () => {
    const { bench, releaseMs } = release((service, version, _, window) => {
      if (version === 'v1') return HEALTHY_S
      return service === 'cart' ? 0.2 : window === 0 ? 2 : HEALTHY_S
    })
    const [first, second] = bench.stage.explain(releaseMs, 0)
    expect(first.entity).toBe('cart')
    expect(second.why.join('; ')).not.toMatch(/new version: call latency \d(\.\d+)? s/)
  })

  it('lets the evidence decide between two releases that are minutes apart', () => {
    const { bench, releaseMs } = release(
      (service, version) => (version === 'v1' ? HEALTHY_S : service === 'cart' ? 0.25 : 0.15),
      { agoMs: { cart: 9 * STEP, search: 1000 } },
    )
    expect(bench.stage.explain(releaseMs, 0)[0].entity).toBe('cart')
  })

  it('names a release that never reports', () => {
    const { bench, releaseMs } = release((service, version) =>
      service === 'cart' && version === 'v2' ? Number.NaN : HEALTHY_S,
    )
    const [first] = bench.stage.explain(releaseMs, 0)
    expect(first.entity).toBe('cart')
    expect(first.why).toContain('cart: the new version never reported')
  })
})

it('one noisy copy of four weighs less than a service whose copies agree', () => {
  const { bench, releaseMs } = release((service, version, copy) => {
    if (version === 'v2') return HEALTHY_S
    return service === 'cart' ? 0.4 : copy === 0 ? 0.4 : HEALTHY_S
  })
  const suspects = bench.stage.explain(releaseMs, 0)
  expect(suspects.map(one => one.entity)).toEqual(['cart', 'search'])
  expect(suspects[1].score).toBeLessThan(suspects[0].score)
})

it('believes a copy that has just started less than one that has been there for long', () => {
  const bench = new Bench({ stepMs: STEP, baselineWindows: 60, postWindows: 5 })
  const random = mulberry32(5)
  const [old, young] = [bench.add(latency('cart', '', 'a')), bench.add(latency('search', '', 'b'))]
  const windows = 40
  for (let w = 0; w < windows + 5; w++) {
    const values = new Map<number, number>()
    const value = (w < windows ? HEALTHY_S : 0.25) * (0.95 + 0.1 * random())
    values.set(old, value)
    if (w >= windows - 3) values.set(young, value)
    bench.window(START + (w + 1) * STEP, values)
  }
  const suspects = bench.stage.explain(START + windows * STEP, 0)
  expect(suspects.map(one => one.entity)).toEqual(['cart', 'search'])
  expect(suspects[1].score).toBeLessThan(0.8 * suspects[0].score)
})
