// Shows that windows whose rows are judged by each other give out the rows that others do, in batches of another size, and say
// with the first of several what the rows of all of them are, as many as may be made ready at once; which windows are so is
// asked when one begins.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { WindowOptions } from '../../src/features/window-options.ts'
import { add, drain, type Rig, rig, type Sample } from './windowing.ts'

const SERIES = 30

/** Windows of random samples: some series have none. */
function filled(options: WindowOptions, samples: readonly Sample[]): Rig {
  const made = rig({ latenessMs: 0, batchRows: 3, ...options }, SERIES)
  add(made.windows, samples)
  made.windows.finish()
  return made
}

const samples = fc.array(
  fc.tuple(fc.nat(SERIES - 1), fc.nat(4999), fc.double({ min: -9, max: 9, noNaN: true })),
  {
    minLength: 1,
    maxLength: 120,
  },
)

it('have the rows that they have otherwise', () => {
  fc.assert(
    fc.property(samples, fc.integer({ min: 1, max: 9 }), fc.nat(20), (all, batchRows, more) => {
      const windowRows = batchRows + more
      const whole = filled({ batchRows, windowRows, isWhole: () => true, features: true }, all)
      expect(drain(whole.windows)).toEqual(drain(filled({ features: true }, all).windows))
    }),
    { numRuns: 30 },
  )
})

it('are said with the first of their batches, as many rows as are made ready at once', () => {
  const all = Array.from({ length: 20 }, (_, i): Sample => [i, 500, i])
  const { windows } = filled({ batchRows: 4, windowRows: 12, isWhole: () => true }, all)
  const seen: [rows: number, ahead: number | undefined, last: boolean][] = []
  for (let lent = windows.next(); lent; lent = windows.next())
    seen.push([lent.batch.length, lent.window?.length, lent.last])
  expect(seen).toEqual([
    [4, 12, false],
    [4, undefined, false],
    [4, undefined, false],
    [4, 8, false],
    [4, undefined, true],
  ])
})

it('are those that are asked for when they begin', () => {
  let isWhole = false
  const all = Array.from({ length: 12 }, (_, i): Sample => [i % 6, i < 6 ? 500 : 1500, i])
  const { windows } = filled({ isWhole: () => isWhole }, all)
  expect(windows.next()?.batch.length).toBe(3)
  isWhole = true
  expect(windows.next()?.batch.length).toBe(3)
  // Whether a row comes behind the last that there is room for is found out later.
  expect(windows.next()).toMatchObject({ batch: { length: 0 }, last: true })
  expect(windows.next()).toMatchObject({ batch: { length: 3 }, last: false, window: { length: 6 } })
  expect(windows.next()).toMatchObject({ batch: { length: 3 }, last: true, window: undefined })
})
