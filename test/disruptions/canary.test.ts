// Shows that versions are told apart: with a healthy and a broken release going out together, the broken one is
// named with the numbers of new against old; a release that never reports is named; copies must agree.
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

/** Ten windows of two services with four old copies each; then releases, and five windows with them. */
function release(level: (service: string, version: string, copy: number) => number): Fleet {
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
      const value = w < windows ? HEALTHY_S : level(service, version, copy)
      values.set(row, value * (0.95 + 0.1 * random()))
    }
    bench.window(START + (w + 1) * STEP, values)
  }
  for (const entity of ['cart', 'search']) {
    bench.stage.change({ id: `d ${entity}`, timeMs: releaseMs - 1000, entity, kind: 'deploy', ref: 'v2' })
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
