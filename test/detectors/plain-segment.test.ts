// Shows that plain series, which in their first day look for shapes only every fourth window and read their tails every eighth, say what
// `tiny@1` says, which looks in every loud one and reads in each: every opinion of three days is the same number, and once a day is known
// so is all that was learned.
// Where a series pauses at the very end of that day, what it says may differ in one evidence until its next window that looks.
// How: both over the same windows of loud and quiet series.
import { describe, expect, it } from 'vitest'
import { TwinSegment } from '../../src/detectors/plain-segment.ts'
import { PLAIN_PROFILE, phaseOf, slotRates, TINY_PROFILE } from '../../src/detectors/slot-profile.ts'
import { TINY_ROWS } from '../../src/kernels/tiny.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'

const STEP_MS = 900_000
const DAY = 96
const START_MS = Date.UTC(2026, 0, 5)
const SERIES = 20
const SAID = ['point', 'incident', 'young', 'expected', 'lower', 'upper'] as const

const SHAPES: readonly ((t: number, random: () => number) => number)[] = [
  (_, random) => 100 + gaussian(random),
  (t, random) => 100 + 30 * Math.sin((2 * Math.PI * t) / DAY) + gaussian(random),
  t => [1, 2, 5, 3, 2][t % 5],
  (t, random) => (Math.floor(t / 37) % 2) * 50 + random(),
  (_, random) => (random() < 0.05 ? 100 * random() : 0),
]

/** Gives the window at which something differed, by name of the output; `at`: the place in time of each window. */
function differences(windows: number, at: (t: number) => number) {
  const rates = slotRates(TINY_PROFILE, STEP_MS)
  const sides = [new TwinSegment(rates, PLAIN_PROFILE), new TwinSegment(rates, TINY_PROFILE)] as const
  const random = mulberry32(3)
  const differs = new Map<string, number[]>()
  let incidents = 0
  for (let t = 0; t < windows; t++) {
    const startMs = START_MS + at(t) * STEP_MS
    const [window, phase] = [Math.floor(startMs / STEP_MS), phaseOf(startMs, STEP_MS, DAY)]
    for (let i = 0; i < SERIES; i++) {
      const x = SHAPES[i % SHAPES.length](at(t), random)
      for (const { batch } of sides) {
        batch.row[i] = i
        batch.value[i] = x
        batch.weight[i] = 1
      }
    }
    for (const side of sides) side.score(SERIES, 0, window, phase)
    const [own, other] = sides
    for (const name of SAID)
      for (let i = 0; i < SERIES; i++)
        if (!Object.is(own.batch[name][i], other.batch[name][i])) note(differs, name, t)
    for (let i = 0; i < SERIES; i++) if (!Number.isNaN(own.batch.incident[i])) incidents++
    for (const side of sides) side.learn(SERIES, 0, true, window, phase)
    for (const name of Object.keys(own.columns) as (keyof typeof own.columns)[]) {
      const values = own.columns[name].subarray(0, (SERIES * own.columns[name].length) / TINY_ROWS)
      const same = values.every((value, k) => Object.is(value, other.columns[name][k]))
      if (!same) note(differs, `column ${name}`, t)
    }
  }
  return { differs, incidents }
}

function note(differs: Map<string, number[]>, name: string, t: number): void {
  differs.set(name, [...(differs.get(name) ?? []), t])
}

/** What is of no consequence in the first day. */
const UNHEARD = ['column dayMax', 'column pointUsual', 'column shape', 'column shapeUsual']

describe('shapes and tails of plain series in their first day', () => {
  it('are looked at less often, and what is said is the same', () => {
    const { differs, incidents } = differences(3 * DAY, t => t)
    expect([...differs.keys()].sort()).toEqual(UNHEARD)
    for (const name of UNHEARD) {
      const windows = differs.get(name) ?? []
      expect(windows.length, name).toBeGreaterThan(3)
      expect(Math.max(...windows), name).toBeLessThan(DAY)
    }
    expect(incidents).toBe(SERIES * 2 * DAY)
  })

  it('may be some windows older after a pause at the end of that day', () => {
    const pauseAt = DAY - 13
    const { differs } = differences(3 * DAY, t => (t < pauseAt ? t : t + 14))
    expect([...differs.keys()].sort()).toEqual([...UNHEARD, 'incident', 'point'].sort())
    // The next window that looks is one of four.
    for (const name of ['point', 'incident'])
      for (const t of differs.get(name) ?? []) expect(t).toBeLessThan(pauseAt + PLAIN_PROFILE.quietStride)
  })
})
