// The kernel `tiny` and its plain twin say the same and learn the same, to the last bit, of every kind of series that could set them
// apart: noise, days, steps, exact repeats (ties among shapes), rare events, huge and tiny values, gaps, pauses longer than a day,
// weights, windows learned without having been scored, steps that do not divide the day. It runs both over the same windows.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PlainRows } from '../../src/detectors/plain-rows.ts'
import { type PlainSegment, TwinSegment } from '../../src/detectors/plain-segment.ts'
import { ENVELOPES } from '../../src/detectors/slot-levels.ts'
import { phaseOf, type SlotRates, slotRates, TINY_PROFILE } from '../../src/detectors/slot-profile.ts'
import { DECODED } from '../../src/detectors/slot-shapes.ts'
import { TINY_BLOCK, TINY_ROWS, TinySegment } from '../../src/kernels/tiny.ts'
import { LOG_TABLE } from '../../src/math/fast-log.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const SERIES = 24
const START_MS = Date.UTC(2026, 0, 5)
const SAID = ['point', 'incident', 'young', 'expected', 'lower', 'upper'] as const

const SHAPES: readonly ((t: number, day: number, random: () => number) => number)[] = [
  (_, __, random) => 10 + random() + random() + random(),
  (t, day, random) => 100 + 30 * Math.sin((2 * Math.PI * t) / day) + 3 * random(),
  () => 7,
  t => [1, 2, 5, 3, 2][t % 5],
  (t, day, random) => (t % (3 * day) < 1.5 * day ? 5 : 500) + random(),
  (_, __, random) => (random() < 0.03 ? 1 + 20 * random() : 0),
  (_, __, random) => Math.exp(12 * (random() - 0.5)),
  (t, _, random) => [1e300, -1e300, 5e-324, -0, 1e-30, -1e24, 1][(t + Math.floor(7 * random())) % 7],
  (t, _, random) => -1e6 + t + random() * 1e-3,
  (_, __, random) => (random() < 0.2 ? Number.NaN : random() < 0.01 ? 1e9 : random()),
]

function kernel(rates: SlotRates): TinySegment {
  return new TinySegment(rates, { log: LOG_TABLE, envelopes: ENVELOPES, decoded: DECODED })
}

/** Both, of one step, kept over runs: each run has rows of its own. */
class Pair {
  readonly fast: PlainSegment
  readonly plain: PlainSegment
  readonly rates: SlotRates
  used = 0

  constructor(stepMs: number) {
    this.rates = slotRates(TINY_PROFILE, stepMs)
    this.fast = kernel(this.rates)
    this.plain = new TwinSegment(this.rates)
  }
}

const STEPS_MS = [300_000, 1_800_000, 7_000_000, 86_400_000]
const pairs = new Map(STEPS_MS.map(stepMs => [stepMs, new Pair(stepMs)]))

/** Runs both over `windows` windows; returns opinions compared that were not NaN. */
function compare(stepMs: number, windows: number, seed: number, pauseAt: number): number {
  const pair = pairs.get(stepMs)!
  const { rates, fast, plain } = pair
  const random = mulberry32(seed)
  const base = pair.used
  pair.used += SERIES
  let opinions = 0
  for (let t = 0; t < windows; t++) {
    const startMs = START_MS + (t >= pauseAt ? t + 3 * rates.day + 5 : t) * stepMs
    const [window, phase] = [Math.floor(startMs / stepMs), phaseOf(startMs, stepMs, rates.day)]
    let length = 0
    for (let i = 0; i < SERIES; i++) {
      // Some are not in every window.
      if (i % 6 === 5 && random() < 0.3) continue
      const x = SHAPES[(i + seed) % SHAPES.length](t, rates.day, random)
      const weight = i % 4 === 3 ? Math.round(8 * random()) / 8 : 1
      for (const { batch } of [fast, plain]) {
        batch.row[length] = base + i
        batch.value[length] = x
        batch.weight[length] = weight
      }
      length++
    }
    const isScored = random() < 0.8
    if (isScored) {
      fast.score(length, base, window, phase)
      plain.score(length, base, window, phase)
      for (const name of SAID) {
        for (let i = 0; i < length; i++) {
          const said = fast.batch[name][i]
          if (!Object.is(said, plain.batch[name][i]))
            expect.fail(
              `${name} of ${fast.batch.row[i] - base} in window ${t}: ${said}, ${plain.batch[name][i]}`,
            )
          if (!Number.isNaN(said)) opinions++
        }
      }
    }
    expect(fast.learn(length, base, isScored, window, phase)).toBe(
      plain.learn(length, base, false, window, phase),
    )
    if (t % 41 === 0 || t === windows - 1) sameState(pair, base, t)
  }
  return opinions
}

function sameState({ fast, plain }: Pair, base: number, t: number): void {
  for (const name of Object.keys(plain.columns) as (keyof PlainSegment['columns'])[]) {
    const [a, b] = [fast.columns[name], plain.columns[name]]
    const width = a.length / TINY_ROWS
    for (let k = base * width; k < (base + SERIES) * width; k++)
      if (!Object.is(a[k], b[k])) expect.fail(`${name} of ${k / width - base} after ${t}: ${a[k]}, ${b[k]}`)
  }
}

describe('the kernel tiny', () => {
  it('agrees with its twin to the bit', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...STEPS_MS),
        fc.nat(1e9),
        fc.nat(700),
        (stepMs, seed, pauseAt) => void compare(stepMs, 400, seed, pauseAt),
      ),
      { numRuns: 24 },
    )
  })

  it('agrees over many days, when all of its evidence speaks', () => {
    expect(compare(300_000, 9 * 288, 4, 5 * 288)).toBeGreaterThan(100_000)
  })

  it('reads tails with whatever counts they may come to', () => {
    const { fast, plain, rates } = pairs.get(300_000)!
    const last = TINY_ROWS - 2 * TINY_BLOCK
    const count = fc.oneof(fc.constant(0), fc.nat(3), fc.nat(300), fc.nat(65_535))
    const tail = fc.array(count, { minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(fc.array(tail, { minLength: 4, maxLength: 4 }), tails => {
        for (const { columns, batch } of [fast, plain]) {
          for (const [i, at] of [last, last + 1].entries()) {
            columns.n[at] = 128
            columns.firstWindow[at] = 0
            columns.lastAge[at] = 500
            columns.pointTail.set(tails[i], 16 * at)
            columns.shapeTail.set(tails[2 + i], 16 * at)
            batch.row[i] = at
            batch.value[i] = 5
            batch.weight[i] = 0
          }
        }
        for (const side of [fast, plain]) {
          side.score(2, 0, 501, 501 % rates.day)
          side.learn(2, 0, true, 501, 501 % rates.day)
        }
        for (const name of ['pointUsual', 'shapeUsual'] as const) {
          const said = fast.columns[name].subarray(last, last + 2)
          expect(Array.from(said)).toEqual(Array.from(plain.columns[name].subarray(last, last + 2)))
          expect(said.some(usual => Number.isNaN(usual))).toBe(false)
        }
      }),
      { numRuns: 200 },
    )
    for (const { columns } of [fast, plain]) columns.n.fill(0, last, last + 2)
  })

  it('finds the third nearest shape among whatever codes', () => {
    const { fast, plain, rates } = pairs.get(300_000)!
    const last = TINY_ROWS - 2 * TINY_BLOCK
    const code = fc.integer({ min: -128, max: 127 })
    const ring = fc.oneof(
      fc.array(code, { minLength: 64, maxLength: 64 }),
      // Of a few values, so that many are as near as each other, or the same.
      fc.tuple(fc.array(code, { minLength: 1, maxLength: 3 }), fc.nat(1e9)).map(([values, seed]) => {
        const random = mulberry32(seed)
        return Array.from({ length: 64 }, () => values[Math.floor(random() ** 4 * values.length)])
      }),
      fc.tuple(code, fc.nat(1e9)).map(([near, seed]) => {
        const random = mulberry32(seed)
        return Array.from({ length: 64 }, () =>
          Math.max(-128, Math.min(127, near + Math.round(2 * random()))),
        )
      }),
    )
    const value = fc.double({ min: -40, max: 40, noNaN: true })
    fc.assert(
      fc.property(ring, ring, value, value, fc.nat(200), (first, second, x, y, more) => {
        for (const { columns, batch } of [fast, plain]) {
          for (const [i, at] of [last, last + 1].entries()) {
            columns.n[at] = 69 + more
            columns.firstWindow[at] = 0
            columns.lastAge[at] = 500
            // The one that was found last is far, so that one is looked for.
            columns.shape[at] = 10
            columns.shapeUsual[at] = 1
            columns.shapeMean[at] = 0
            columns.shapeDev[at] = 1
            columns.shapes.set(i === 0 ? first : second, 64 * at)
            batch.row[i] = at
            batch.value[i] = i === 0 ? x : y
          }
        }
        for (const { batch } of [fast, plain]) batch.weight.fill(0, 0, 2)
        for (const side of [fast, plain]) {
          side.score(2, 0, 501, 501 % rates.day)
          side.learn(2, 0, true, 501, 501 % rates.day)
        }
        expect(Array.from(fast.columns.shape.subarray(last, last + 2))).toEqual(
          Array.from(plain.columns.shape.subarray(last, last + 2)),
        )
        expect(Array.from(fast.batch.incident.subarray(0, 2))).toEqual(
          Array.from(plain.batch.incident.subarray(0, 2)),
        )
      }),
      { numRuns: 3000 },
    )
    for (const { columns } of [fast, plain]) columns.n.fill(0, last, last + 2)
  })

  it('takes the last row of a segment and a full block', () => {
    const { fast, plain, rates } = pairs.get(300_000)!
    for (const segment of [fast, plain]) {
      for (let i = 0; i < TINY_BLOCK; i++) {
        segment.batch.row[i] = TINY_ROWS - TINY_BLOCK + i
        segment.batch.value[i] = i
        segment.batch.weight[i] = 1
      }
    }
    for (let t = 0; t < 30; t++) {
      fast.score(TINY_BLOCK, 65_536 - TINY_BLOCK, t, t % rates.day)
      plain.score(TINY_BLOCK, 0, t, t % rates.day)
      expect(fast.learn(TINY_BLOCK, 65_536 - TINY_BLOCK, true, t, t % rates.day)).toBe(
        t === 0 ? TINY_BLOCK : 0,
      )
      plain.learn(TINY_BLOCK, 0, false, t, t % rates.day)
    }
    expect(fast.columns.n[TINY_ROWS - 1]).toBe(30)
    expect(Array.from(fast.batch.young)).toEqual(Array.from(plain.batch.young))
    sameState(pairs.get(300_000)!, TINY_ROWS - SERIES, 30)
    // Nothing beside the rows given has changed.
    expect(fast.columns.n.subarray(TINY_ROWS - 3 * TINY_BLOCK, TINY_ROWS - TINY_BLOCK).some(n => n > 0)).toBe(
      false,
    )
  })

  it('has a place in its columns for each field of a profile', () => {
    const rates = slotRates(TINY_PROFILE, 300_000)
    const rows = new PlainRows(rates, kernel)
    rows.use(3, 3).columns.n[3] = 1
    expect(Object.keys(rows.snapshot(4).columns).sort()).toEqual(
      Object.keys(new TwinSegment(rates).columns).sort(),
    )
  })
})
