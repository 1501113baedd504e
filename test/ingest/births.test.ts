// Shows that a series which is seen for the first time by its label bytes becomes what the plain readers make of it, to the byte of
// every snapshot: over label sets with odd names, values that keys escape, labels that are dropped, doubled, too many or too long,
// counters with and without metadata, tenants, limits, evictions, restarts in between, and more different labels than are remembered.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bench, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000
const METRICS = [
  'up',
  'http_requests_total',
  'http_responses',
  'rpc_sum',
  'rpc_count',
  'errors',
  'lat_bucket',
  'a:b',
  'my metric',
  'x{y',
]
const NAMES = [
  ...['service', 'job', 'instance', 'client', 'server', 'code', 'error', 'exception', 'le', 'quantile'],
  ...['__tmp', 'dropped', 'Env', '0', '12', 'naïve', 'with space', 'a"b', 'constructor', '__proto__', 'pod'],
]
const VALUES = [
  'a',
  '500',
  'true',
  'checkout',
  'http',
  '0.5',
  '',
  'say "hi"',
  'back\\slash',
  'two\nlines',
  'Zürich',
  'x'.repeat(40),
  'y'.repeat(300),
]

const one = fc.record({
  metric: fc.constantFrom(...METRICS),
  labels: fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES)), { maxLength: 6 }),
  /** In which order the labels come; senders sort them. */
  isSorted: fc.boolean(),
  pod: fc.nat(30),
})
type One = typeof one extends fc.Arbitrary<infer S> ? S : never

function body(all: readonly One[], t: number, value: number, declares: boolean): Uint8Array {
  return remoteWrite1({
    timeseries: all.map(({ metric, labels, isSorted, pod }) => {
      const list = [...labels, ['pod', `p${pod}`] as const].map(([name, value]) => ({ name, value }))
      if (isSorted) list.sort((a, b) => (a.name < b.name ? -1 : 1))
      return {
        labels: [{ name: '__name__', value: metric }, ...list],
        samples: [{ timestamp: t, value: value + pod }],
      }
    }),
    metadata: declares ? [{ type: 1, metric_family_name: 'http_responses', unit: 'seconds' }] : [],
  })
}

const scrape = fc.record({
  all: fc.array(one, { minLength: 1, maxLength: 10 }),
  value: fc.constantFrom(1, 7, 7, Number.NaN, Number.POSITIVE_INFINITY),
  tenant: fc.constantFrom('default', 'default', 'shop', 'büro'),
  times: fc.integer({ min: 1, max: 3 }),
  late: fc.constantFrom(0, 0, 0, 3_600_000),
  declares: fc.boolean(),
  evict: fc.boolean(),
})

const OPTIONS = {
  dropLabels: ['dropped'],
  labelsMax: 5,
  labelValueLengthMax: 200,
  overrides: { errors: { unit: 'ms' } },
}

function same(fast: Bench, plain: Bench): void {
  expect(fast.seen).toEqual(plain.seen)
  expect(fast.rejects.recent()).toEqual(plain.rejects.recent())
  expect(fast.series.snapshot()).toEqual(plain.series.snapshot())
  expect(fast.intake.snapshot()).toEqual(plain.intake.snapshot())
}

describe('a series seen for the first time', () => {
  it('becomes what the plain way makes of it', () => {
    fc.assert(
      fc.property(
        fc.array(scrape, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(1000, 7),
        (scrapes, wiresMax) => {
          const fast = new Bench({ ...OPTIONS, wiresMax })
          const plain = new Bench({ ...OPTIONS, wiresMax, plain: true })
          let t = T
          for (const { all, value, tenant, times, late, declares, evict } of scrapes) {
            for (let i = 0; i < times; i++) {
              t += 15_000
              const bytes = body(all, t + late, value + i, declares)
              const envelope = { arrivalMs: t, tenant }
              expect(fast.send('remote-write-1', bytes, envelope)).toEqual(
                plain.send('remote-write-1', bytes, envelope),
              )
            }
            if (!evict) continue
            for (let row = 0; row < fast.series.capacity; row += 2) {
              if (!fast.series.has(row)) continue
              for (const bench of [fast, plain]) {
                bench.intake.forget(row)
                bench.series.evict(row)
              }
            }
          }
          same(fast, plain)
          for (let row = 0; row < fast.series.capacity; row++)
            if (fast.series.has(row)) expect(fast.series.meta(row)).toEqual(plain.series.meta(row))
        },
      ),
      { numRuns: 150 },
    )
  })

  it('is the same when more different labels come than are remembered, and their texts are let go', () => {
    const fast = new Bench()
    const plain = new Bench({ plain: true })
    for (let round = 0; round < 3; round++) {
      for (let t = 0; t < 2; t++) {
        const ms = T + (2 * round + t) * 15_000
        const bytes = remoteWrite1({
          timeseries: Array.from({ length: 3000 }, (_, i) => ({
            labels: labelList(i % 2 === 0 ? 'up' : 'requests_total', {
              request: `${round}-${i}`,
              pod: `p${round}-${i >> 5}`,
              service: `s${i % 7}`,
            }),
            samples: [{ timestamp: ms, value: i + t }],
          })),
        })
        expect(fast.send('remote-write-1', bytes, { arrivalMs: ms })).toEqual(
          plain.send('remote-write-1', bytes, { arrivalMs: ms }),
        )
      }
      for (let row = round; row < fast.series.capacity; row += 3) {
        if (!fast.series.has(row)) continue
        for (const bench of [fast, plain]) {
          bench.intake.forget(row)
          bench.series.evict(row)
        }
      }
    }
    expect(fast.series.size).toBeGreaterThan(4000)
    same(fast, plain)
  })
})
