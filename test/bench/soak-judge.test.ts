// Shows what a soak is judged by: memory that grows, lag that grows and failures are each found, a warm-up is not held
// against it, and a flat one passes.
import { expect, it } from 'vitest'
import { judged, type Look } from '../../bench/soak-judge.ts'

const MB = 1_048_576
const looks = (rss: (s: number) => number, lag: (s: number) => number): Look[] =>
  Array.from({ length: 360 }, (_, i) => i * 5).map(s => ({
    atS: s,
    rss: { scorer: rss(s) * MB },
    lag: lag(s),
    accepted: s * 2000,
  }))
const options = { warmUpS: 600, isLong: true, failures: [] }
/** Garbage comes and goes. */
const flat = (s: number) => 200 + ((s * 7919) % 13)

it('flat passes, also after a warm-up that grew', () => {
  expect(
    judged(
      looks(flat, () => 3),
      options,
    ),
  ).toMatchObject({ good: true, why: [] })
  expect(
    judged(
      looks(
        s => flat(s) - Math.max(0, 100 - s / 6),
        () => 3,
      ),
      options,
    ).good,
  ).toBe(true)
})

it('memory that grows by more than 5 % is found, but not in a short run', () => {
  const leak = looks(
    s => flat(s) + s / 60,
    () => 3,
  )
  expect(judged(leak, options).why).toEqual([expect.stringMatching(/^scorer grew by \d/)])
  expect(judged(leak, { ...options, isLong: false }).good).toBe(true)
})

it('lag that grows, a failure and a run without an end of the warm-up are found', () => {
  expect(
    judged(
      looks(flat, s => s),
      options,
    ).why,
  ).toEqual([expect.stringMatching(/^lag grew/)])
  expect(
    judged(
      looks(flat, () => 3),
      { ...options, failures: ['503: away'] },
    ).why,
  ).toEqual(['503: away'])
  expect(judged(looks(flat, () => 3).slice(0, 20), options).good).toBe(false)
})
