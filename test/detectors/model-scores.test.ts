// Shows what each task's output means: scores worked out by hand, the order that ranks windows, and that raw scores of
// any size come out on the one scale that calibration counts on.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ModelPlan, planOf } from '../../src/detectors/model-plan.ts'
import { learnRaw, RAW, readOutput, standardised } from '../../src/detectors/model-scores.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'
import { cardOf } from './model-world.ts'

type Given = Parameters<typeof cardOf>[0]

function read(card: Given, input: number[], output: number[], slot: number, newest: number) {
  const out = new Float64Array(5)
  const plan = planOf(cardOf(card)) as ModelPlan
  readOutput(plan, Float32Array.from(input), Float32Array.from(output), 0, slot, newest, out)
  return out
}

const SERIES: Given['window'] = { of: 'series', length: 3 }
const ENTITY: Given['window'] = { of: 'entity', length: 2, metrics: ['a', 'b'] }

describe('raw scores', () => {
  it('of a reconstruction: the newest value, and the whole window', () => {
    const out = read({ task: 'reconstruction', window: SERIES }, [1, 2, 5], [1, 4, 2], 0, 5)
    expect(out[RAW.point]).toBe(3)
    expect(out[RAW.incident]).toBeCloseTo(Math.sqrt((0 + 4 + 9) / 3), 12)
    expect(out[RAW.expected]).toBe(2)
  })

  it('of a reconstruction of an entity: metric by metric', () => {
    const given = [{ task: 'reconstruction', window: ENTITY } as const, [1, 1, 2, 2], [1, 1, 2, 6]] as const
    expect(read(given[0], [...given[1]], [...given[2]], 0, 1)[RAW.point]).toBe(0)
    expect(read(given[0], [...given[1]], [...given[2]], 1, 2)[RAW.point]).toBe(4)
    expect(read(given[0], [...given[1]], [...given[2]], 1, NaN)[RAW.point]).toBeNaN()
  })

  it('of a forecast: how far outside the outer quantiles, over their distance', () => {
    const card = { task: 'forecast', window: SERIES, quantiles: [0.05, 0.5, 0.95] } as const
    const raw = (newest: number) => read(card, [0, 0, 0], [-1, 0.25, 1], 0, newest)[RAW.point]
    expect(raw(0)).toBe(0)
    expect(raw(1)).toBe(0.5)
    expect(raw(5)).toBe(2.5)
    expect(raw(-3)).toBe(1.5)
    const out = read(card, [0, 0, 0], [1, 0.25, -1], 0, 0)
    expect([out[RAW.lower], out[RAW.expected], out[RAW.upper]]).toEqual([-1, 0.25, 1])
  })

  it('of a score: the number itself; what is not finite is no opinion', () => {
    const card = { task: 'score', window: SERIES } as const
    expect(read(card, [0, 0, 0], [-4.5], 0, 0)[RAW.point]).toBe(-4.5)
    expect(read(card, [0, 0, 0], [Infinity], 0, 0)[RAW.point]).toBeNaN()
  })
})

describe('on one scale', () => {
  const settle = (scale: number, isError: boolean) => {
    const random = mulberry32(11)
    const own = { centre: new Float64Array(1), size: new Float64Array(1), count: new Float64Array(1) }
    const raw = () => scale * (isError ? Math.abs(gaussian(random)) : 5 + gaussian(random))
    for (let i = 0; i < 2000; i++) learnRaw(own, 0, raw(), isError, 1 / 500, 1)
    return own
  }

  it('ordinary scores are about 1, whatever the unit of the model', () => {
    for (const isError of [true, false])
      for (const scale of [1e-3, 1, 1e6]) {
        const own = settle(scale, isError)
        const usual = standardised(own, 0, scale * (isError ? 0.8 : 5.8), isError)
        expect(usual).toBeGreaterThan(0.7)
        expect(usual).toBeLessThan(1.4)
        expect(standardised(own, 0, scale * (isError ? 8 : 13), isError)).toBeGreaterThan(8)
      }
  })

  it('one wild score hardly changes what is usual, and the first three have nothing to be set against', () => {
    const own = settle(1, true)
    const before = standardised(own, 0, 4, true)
    learnRaw(own, 0, 1e12, true, 1 / 500, 1)
    expect(standardised(own, 0, 4, true)).toBeGreaterThan(0.9 * before)
    const young = { centre: new Float64Array(1), size: new Float64Array(1), count: new Float64Array(1) }
    for (let i = 0; i < 3; i++) {
      expect(standardised(young, 0, 1, true)).toBeNaN()
      learnRaw(young, 0, 1, true, 0.01, 1)
    }
    expect(standardised(young, 0, 1, true)).toBeCloseTo(1, 5)
  })

  it('is never infinite nor below 0', () => {
    const scores = fc.array(fc.double({ min: -1e30, max: 1e30, noNaN: true }), { maxLength: 20 })
    fc.assert(
      fc.property(scores, fc.boolean(), (all, isError) => {
        const own = { centre: new Float64Array(1), size: new Float64Array(1), count: new Float64Array(1) }
        for (const one of all) {
          const raw = isError ? Math.abs(one) : one
          const found = standardised(own, 0, raw, isError)
          if (!Number.isNaN(found)) {
            expect(found).toBeGreaterThanOrEqual(0)
            expect(found).toBeLessThan(Infinity)
          }
          learnRaw(own, 0, raw, isError, 0.01, 1)
        }
      }),
    )
  })
})

describe('a plan', () => {
  const refused = (given: Given) => planOf(cardOf(given)) as string
  it('is refused for what cannot be served, with the reason', () => {
    expect(refused({ task: 'score', window: SERIES, outputWidth: 3 })).toContain('not 3')
    expect(refused({ task: 'reconstruction', window: SERIES, outputWidth: 1 })).toContain('not 1')
    expect(refused({ task: 'forecast', window: SERIES, quantiles: [0.9, 0.1] })).toContain('ascending')
    const odd: Given['window'] = { of: 'entity', length: 2, metrics: ['kind:colour'] }
    expect(refused({ task: 'score', window: odd })).toContain('no kind of metric')
  })
})
