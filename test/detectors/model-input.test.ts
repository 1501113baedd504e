// Shows that model inputs are made as the card's words and the golden numbers say (model-input.json, which Python reads
// too), through the very question that the live member asks; and by properties what holds of any values: gaps are 0,
// clipping, shift and scale do not matter to a window's own normalisation, nothing is infinite, nothing later matters.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeriesTable } from '../../src/core/series.ts'
import {
  bounded,
  fillInput,
  learnRunning,
  runningRate,
  runningScale,
  windowScale,
} from '../../src/detectors/model-input.ts'
import { type ModelPlan, pastOf, planOf } from '../../src/detectors/model-plan.ts'
import { ModelQuestion, ownRows } from '../../src/detectors/model-question.ts'
import { ModelRings } from '../../src/detectors/model-rings.ts'
import { testSeries } from './contract.ts'
import { cardOf } from './model-world.ts'

interface Case {
  readonly name: string
  readonly values: readonly (number | null)[]
  readonly stepMs: number
  readonly length: number
  readonly normalisation: { readonly by: string; readonly days?: number }
  readonly forecast: boolean
  readonly inputs: readonly (readonly number[] | null)[]
}

const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, 'model-input.json'), 'utf8')) as {
  readonly cases: readonly Case[]
}

/** The inputs that a member would ask with, window after window; null where it has no question. */
function asked(given: Omit<Case, 'inputs' | 'name'>): (number[] | null)[] {
  const { length, normalisation, stepMs } = given
  const plan = planOf(
    cardOf({
      task: given.forecast ? 'forecast' : 'reconstruction',
      window: { of: 'series', length },
      normalisation,
    }),
  ) as ModelPlan
  const table = new SeriesTable(1)
  table.intern(testSeries('value'))
  const rings = new ModelRings(stepMs, pastOf(plan) + 1)
  rings.ensure(1)
  const running = { mean: new Float64Array(1), deviation: new Float64Array(1), count: new Float64Array(1) }
  const rate = runningRate(plan.days ?? 1, stepMs)
  const question = new ModelQuestion(plan)
  const own = ownRows(1)
  own.length = 1
  own.of[0] = 0
  const found: (number[] | null)[] = []
  for (const [t, value] of given.values.entries()) {
    own.endMs = (t + 1) * stepMs
    own.observed[0] = value ?? NaN
    question.ask(own, 0, rings, table, running)
    found.push(question.rows === 0 ? null : Array.from(question.input.subarray(0, length)))
    rings.push(0, own.endMs, own.observed[0])
    learnRunning(running, 0, bounded(own.observed[0]), rate)
  }
  return found.slice(pastOf(plan))
}

describe('golden numbers', () => {
  it.each(cases.map(one => [one.name, one] as const))('%s', (_, one) => {
    const found = asked(one)
    expect(found).toHaveLength(one.inputs.length)
    expect(one.inputs.filter(row => row !== null).length).toBeGreaterThan(4)
    for (const [i, row] of one.inputs.entries()) {
      if (row === null) expect(found[i]).toBeNull()
      for (const [j, cell] of (row ?? []).entries())
        expect(Math.abs((found[i]?.[j] ?? NaN) - cell)).toBeLessThan(2e-6 * Math.max(1, Math.abs(cell)))
    }
  })
})

const cell = fc.oneof(
  { weight: 5, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, 5e-324, 1e300, -1e300, Number.MAX_VALUE) },
)
const normalisation = fc.constantFrom(
  { by: 'none' },
  { by: 'window' },
  { by: 'running', days: 0.01 },
  { by: 'running', days: 7 },
)
const anyCase = fc.record({
  values: fc.array(cell, { minLength: 1, maxLength: 40 }),
  stepMs: fc.constantFrom(1000, 60_000),
  length: fc.integer({ min: 1, max: 9 }),
  normalisation,
  forecast: fc.boolean(),
})

describe('whatever the values', () => {
  it('inputs are finite, gaps are 0, and running ones within ±20', () => {
    fc.assert(
      fc.property(anyCase, given => {
        const most = given.normalisation.by === 'running' ? 20 : 3.4e38
        for (const [i, row] of asked(given).entries())
          for (const [j, value] of (row ?? []).entries()) {
            expect(Math.abs(value)).toBeLessThanOrEqual(most)
            // Row i begins at value i, of a forecast as well.
            if (given.values[i + j] === null) expect(value).toBe(0)
          }
      }),
    )
  })

  it('what comes later changes nothing', () => {
    fc.assert(
      fc.property(anyCase, fc.array(cell, { maxLength: 10 }), (given, more) => {
        const before = asked(given)
        const after = asked({ ...given, values: [...given.values, ...more] })
        expect(after.slice(0, before.length)).toEqual(before)
      }),
    )
  })

  it("a window's own normalisation knows no unit, unless most of it is 0", () => {
    const values = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 3, maxLength: 20 })
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 8 }), (line, power) => {
        const of = (xs: readonly number[]) => {
          const found = new Float64Array(2)
          const out = new Float32Array(xs.length)
          windowScale(Float64Array.from(xs), xs.length, new Float64Array(xs.length), found)
          fillInput(Float64Array.from(xs), xs.length, found[0], found[1], false, out, 0)
          return { inputs: Array.from(out), scale: found[1] }
        }
        // A power of two scales without rounding.
        const factor = 2 ** power
        const { inputs, scale } = of(line)
        // With neither spread nor level the least scale of all divides, which is a number without a unit.
        const isLeast = scale === 1e-9
        expect(of(line.map(x => x * factor)).inputs).toEqual(isLeast ? inputs.map(x => x * factor) : inputs)
      }),
      { examples: [[[0, -1, 0], 1]] },
    )
  })

  it('a running mean is the plain mean until its rate is reached', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 50 }),
        xs => {
          const own = {
            mean: new Float64Array(1),
            deviation: new Float64Array(1),
            count: new Float64Array(1),
          }
          for (const x of xs) learnRunning(own, 0, x, 0)
          const mean = xs.reduce((sum, x) => sum + x, 0) / xs.length
          expect(Math.abs(own.mean[0] - mean)).toBeLessThan(1e-8)
          const found = new Float64Array(2)
          runningScale(own, 0, found)
          expect(found[1]).toBeGreaterThan(0)
        },
      ),
    )
  })
})
