// Shows that the betting test keeps its promise: over seeded simulations of differences without an advantage (fair,
// mostly ties, lopsided, bursts that depend on the past) it is wrong less often than alpha although one looks after
// every number; that its interval holds the mean at all times as often; that it finds an advantage in as many units as
// are plausible; and that its state survives being written down.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BettedMean } from '../../src/math/betting.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const ALPHA = 0.05
const RUNS = 800
const UNITS = 250
/** What a share of 5 % may come to in 800 runs, but once in a thousand tries. */
const SHARE_MAX = 0.05 + 3.1 * Math.sqrt((0.05 * 0.95) / RUNS)

type Source = (random: () => number, before: number) => number

/** Differences that favour nobody: each has expectation 0 given those before it. */
const FAIR: Readonly<Record<string, Source>> = {
  'wins and losses': random => (random() < 0.5 ? 1 : -1),
  'mostly ties': random => (random() < 0.9 ? 0 : random() < 0.5 ? 1 : -1),
  'many small wins, few large losses': random => (random() < 0.9 ? 0.1 : -0.9),
  'bursts: large after large': (random, before) =>
    (random() < 0.5 ? 1 : -1) * (Math.abs(before) > 0.3 ? 0.9 : random() < 0.1 ? 1 : 0.05),
  'the mean leans against the past': (random, before) => (random() - 0.5) * (before > 0 ? 2 : 0.5),
}

function runs(source: Source, check: (bets: BettedMean) => boolean, seedFrom: number): number {
  let hits = 0
  for (let run = 0; run < RUNS; run++) {
    const random = mulberry32(seedFrom + run)
    const bets = new BettedMean(ALPHA)
    let before = 0
    for (let i = 0; i < UNITS; i++) {
      before = source(random, before)
      bets.add(before)
      // Whoever looks after each unit and stops when it suits them does no better.
      if (check(bets)) {
        hits++
        break
      }
    }
  }
  return hits / RUNS
}

describe('without an advantage', () => {
  for (const [i, [name, source]] of Object.entries(FAIR).entries()) {
    it(`claims one in at most 5 % of runs: ${name}`, () => {
      expect(runs(source, bets => bets.side !== 'open', 1000 * (i + 1))).toBeLessThanOrEqual(SHARE_MAX)
    })
  }

  it('claims the wrong side even less when the other is better', () => {
    const worse: Source = random => (random() < 0.4 ? 1 : -1)
    expect(runs(worse, bets => bets.side === 'above', 77)).toBeLessThanOrEqual(0.02)
  })

  it('always holds the mean in its interval but in 5 % of runs', () => {
    // 0.33 lies between two points of the grid.
    const source: Source = random => (random() < 0.665 ? 1 : -1)
    const missed = runs(source, ({ interval }) => interval.lower > 0.33 || interval.upper < 0.33, 5000)
    expect(missed).toBeLessThanOrEqual(SHARE_MAX)
  })
})

describe('with an advantage', () => {
  const unitsUntil = (source: Source, seed: number) => {
    const random = mulberry32(seed)
    const bets = new BettedMean(ALPHA)
    for (let i = 1; i <= 2000; i++) {
      bets.add(source(random, 0))
      if (bets.side === 'above') return i
    }
    return Infinity
  }
  const median = (source: Source) =>
    Array.from({ length: 101 }, (_, i) => unitsUntil(source, 9000 + i)).sort((a, b) => a - b)[50]

  it('needs a handful of units when one always wins, ties costing nothing', () => {
    expect(unitsUntil(() => 1, 1)).toBeLessThanOrEqual(10)
    let ties = 0
    const every4th: Source = () => (++ties % 4 === 0 ? 1 : 0)
    expect(unitsUntil(every4th, 1)).toBeLessThanOrEqual(44)
  })

  it('needs some hundreds when one wins a little more often', () => {
    expect(median(random => (random() < 0.75 ? 1 : -1))).toBeLessThanOrEqual(45)
    expect(median(random => (random() < 0.6 ? 1 : -1))).toBeLessThanOrEqual(350)
    expect(median(random => (random() < 0.8 ? 0 : random() < 0.75 ? 1 : -1))).toBeLessThanOrEqual(260)
  })

  it('gives an interval that closes on the advantage', () => {
    const random = mulberry32(3)
    const bets = new BettedMean(ALPHA)
    for (let i = 0; i < 1000; i++) bets.add(random() < 0.75 ? 1 : -1)
    const { lower, upper } = bets.interval
    expect(lower).toBeGreaterThan(0.3)
    expect(upper).toBeLessThan(0.7)
    expect(bets.evidence.above).toBeGreaterThan(2 / ALPHA)
    expect(bets.evidence.below).toBeLessThanOrEqual(1)
  })
})

describe('as state', () => {
  it('is the same written down and read back, mirrors itself, and never leaves its bounds', () => {
    const numbers = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { maxLength: 60 })
    fc.assert(
      fc.property(numbers, numbers, (first, second) => {
        const bets = new BettedMean(0.1)
        const mirror = new BettedMean(0.1)
        for (const x of first) bets.add(x)
        const again = new BettedMean(0.1, JSON.parse(JSON.stringify(bets.state())))
        for (const x of second) {
          bets.add(x)
          again.add(x)
        }
        for (const x of [...first, ...second]) mirror.add(-x)
        expect(again.state()).toEqual(bets.state())
        expect(mirror.interval.lower).toBeCloseTo(-bets.interval.upper, 9)
        expect(mirror.evidence.above).toBeCloseTo(bets.evidence.below, 6)
        const { lower, upper } = bets.interval
        expect(lower >= -1 && upper <= 1).toBe(true)
        for (const value of Object.values(bets.state()).flat()) expect(Number.isFinite(value)).toBe(true)
      }),
      { seed: 7, numRuns: 200 },
    )
  })
})
