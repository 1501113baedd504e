// Shows that leaving a limit that was always kept is noticed however an earlier disaster widened the usual spread,
// that what leaves it all the time is left to the detectors, and that saving at any window changes nothing: made
// success shares played through the whole stage.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SeriesMeta, seriesKey } from '../../src/core/series.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { Bench } from './bench.ts'

const START_MS = 1_700_000_000_000

function success(unit: string): SeriesMeta {
  const labels = { service: 'shop' }
  return {
    key: seriesKey('success', labels, 'default'),
    tenant: 'default',
    metric: 'success',
    labels,
    entity: 'shop',
    unit,
    kind: 'availability',
    bad: 'down',
  }
}

class Shop {
  readonly bench = new Bench({ refractoryWindows: 0 })
  readonly row: number
  #nowMs = START_MS

  constructor() {
    this.row = this.bench.add(success('percent'))
  }

  play(values: readonly number[]): string[] {
    return values.flatMap(value => {
      this.#nowMs += this.bench.options.stepMs
      return this.bench.window(this.#nowMs, new Map([[this.row, value]])).map(event => event.type)
    })
  }
}

const full = (n: number, of = 100): number[] => Array.from({ length: n }, () => of)

describe('shares at their limit', () => {
  it('five points after a disaster are a disruption, which the widened spread alone would hide', () => {
    const shop = new Shop()
    expect(shop.play([...full(20), 49, 55, 54, 50, ...full(30)])).toContain('opened')
    expect(shop.play([95.7, 95, 94.5])).toEqual(['opened'])
    // The same ten points lower never was at a limit: the detectors alone say too little.
    const lower = new Shop()
    lower.play([...full(20, 90), 39, 45, 44, 40, ...full(30, 90)])
    expect(lower.play([85.7, 85, 84.5])).toEqual([])
  })

  it('a share of failures that was always none is one as well', () => {
    const bench = new Bench()
    const meta = { ...success('ratio'), metric: 'errors', kind: 'error', bad: 'up' } as const
    const row = bench.add({ ...meta, key: seriesKey('errors', meta.labels, 'default') })
    let nowMs = START_MS
    const play = (value: number) => {
      nowMs += bench.options.stepMs
      return bench.window(nowMs, new Map([[row, value]]))
    }
    for (let i = 0; i < 30; i++) expect(play(0)).toEqual([])
    expect([0.05, 0.05, 0.05].flatMap(play).map(event => event.type)).toEqual(['opened'])
  })

  it('what never was at its limit, and what leaves it every few windows, says nothing of its own', () => {
    const random = mulberry32(3)
    expect(new Shop().play(Array.from({ length: 300 }, () => 93 + 4 * random()))).toEqual([])
    // Two windows of four points in every nine: more often than not somebody would be woken for nothing.
    const flapping = new Shop()
    const rhythm = Array.from({ length: 900 }, (_, i) => (i % 9 < 2 ? 96 : 100))
    expect(flapping.play(rhythm.slice(0, 90)).length).toBeLessThanOrEqual(3)
    expect(flapping.play(rhythm.slice(90))).toEqual([])
  })

  it('half a point is nothing, and gaps neither raise nor clear', () => {
    const shop = new Shop()
    shop.play(full(40))
    expect(shop.play(full(20, 99.6))).toEqual([])
  })

  it('restored at any window it goes on as if it had never stopped', () => {
    const values = [...full(16), 49, 55, 54, 50, ...full(14), 95.7, 95, 94.5, ...full(10), 96, 95, 95, 95]
    const whole = new Shop()
    whole.play(values)
    expect(whole.bench.events.filter(event => event.type === 'opened').length).toBe(3)
    fc.assert(
      fc.property(fc.nat(values.length - 1), at => {
        const shop = new Shop()
        shop.play(values.slice(0, at))
        const saved = structuredClone(shop.bench.stage.snapshot())
        shop.bench.stage = shop.bench.fresh()
        shop.bench.stage.restore(saved)
        shop.play(values.slice(at))
        expect(shop.bench.events).toEqual(whole.bench.events)
      }),
      { numRuns: 20, seed: 5 },
    )
  })
})
