// The kernel `matrix-profile` and its plain twin find the same and keep the same, to the last bit, of every kind of series that could set
// them apart: noise, waves, exact repeats (ties), flat stretches, missing values, spikes, values that are huge or tiny; over slides of the
// buffers, changes of scale, windows learned without having been scored; row by row and as blocks of many series in one memory.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MatrixProfileSegment } from '../../src/kernels/matrix-profile.ts'
import {
  learnProfile,
  type ProfileShape,
  profileColumns,
  rescaleProfile,
  SAID,
  scoreProfile,
} from '../../src/math/left-profile.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { profileState } from '../math/profile-state.ts'

const SERIES: readonly ((t: number, random: () => number) => number)[] = [
  (_, random) => random() + random() - 1,
  (t, random) => 5 * Math.sin(t / 9) + 0.1 * random(),
  t => [1, 2, 5, 3, 2][t % 5],
  () => 7,
  (t, random) => (t % 40 < 20 ? -0 : random()),
  (_, random) => (random() < 0.1 ? Number.NaN : random()),
  (_, random) => (random() < 0.02 ? 77 : 1e-3 * random()),
  (_, random) => Math.exp(30 * (random() - 0.7)),
  (t, random) => (t % 50 < 45 ? Number.NaN : random()),
]

function segment(shape: ProfileShape, rows: number) {
  return new MatrixProfileSegment(shape, profileColumns(shape), rows)
}

const shapes = fc.record({
  length: fc.integer({ min: 4, max: 24 }),
  history: fc.integer({ min: 1, max: 10 }).map(n => 8 * n),
  exclusion: fc.integer({ min: 1, max: 30 }),
  refresh: fc.integer({ min: 1, max: 40 }),
  flat: fc.constantFrom(1e-6, 0.05, 1),
  wants: fc.constantFrom('shape', 'level', 'both'),
  rank: fc.integer({ min: 1, max: 8 }),
})

describe('matrix-profile kernel', () => {
  it('finds and keeps what the twin does, to the bit', () => {
    let said = 0
    fc.assert(
      fc.property(shapes, fc.integer({ min: 1, max: 1e6 }), fc.nat(199), (shape, seed, rescaleAt) => {
        const fast = segment(shape, SERIES.length)
        const random = mulberry32(seed)
        const plain = SERIES.map(() => profileState(shape))
        const rows = SERIES.map((_, row) => fast.fields(row))
        for (const row of rows.keys()) fast.begin(row)
        for (let t = 0; t < 200; t++) {
          for (const [row, next] of SERIES.entries()) {
            const x = next(t, random)
            if (random() < 0.8) {
              scoreProfile(plain[row], shape, x)
              fast.score(row, x)
              for (const of of [SAID.shape, SAID.level]) {
                expect(rows[row].said[of]).toBe(plain[row].said[of])
                if (!Number.isNaN(plain[row].said[of])) said++
              }
            }
            expect(fast.learn(row, x)).toBe(learnProfile(plain[row], shape, x))
            if (t !== rescaleAt) continue
            for (const { values } of [rows[row], plain[row]])
              for (let k = 0; k < values.length; k++) values[k] = 3 * values[k] - 1
            fast.rescale(row)
            rescaleProfile(plain[row], shape)
          }
        }
        for (const row of rows.keys()) expect(rows[row]).toEqual(plain[row])
      }),
      { numRuns: 20 },
    )
    expect(said).toBeGreaterThan(10_000)
  })

  it('takes blocks of rows as it takes rows, and begins anew in a row that was cleared', () => {
    const shape = {
      length: 8,
      history: 64,
      exclusion: 8,
      refresh: 32,
      flat: 0.05,
      wants: 'both',
      rank: 2,
    } as const
    const [blocks, single] = [segment(shape, 30), segment(shape, 30)]
    const random = mulberry32(11)
    for (let row = 0; row < 30; row++) {
      blocks.begin(row)
      single.begin(row)
    }
    const { batch } = blocks
    let slid = 0
    for (let t = 0; t < 150; t++) {
      const rows = Array.from({ length: 30 }, (_, row) => row).filter(() => random() < 0.9)
      if (t === 100)
        for (const of of [blocks, single]) {
          of.clear(4)
          expect(of.fields(4).values.every(x => x === 0)).toBe(true)
          of.begin(4)
        }
      for (const [i, row] of rows.entries()) {
        batch.row[i] = row
        batch.value[i] = random()
      }
      blocks.scoreBlock(rows.length)
      for (const [i, row] of rows.entries()) {
        single.score(row, batch.value[i])
        const { said } = single.fields(row)
        expect([batch.shape[i], batch.level[i]]).toEqual([said[SAID.shape], said[SAID.level]])
        if (single.learn(row, batch.value[i])) slid--
      }
      slid += blocks.learnBlock(rows.length)
    }
    expect(slid).toBe(0)
    for (let row = 0; row < 30; row++) expect(blocks.fields(row)).toEqual(single.fields(row))
  })

  it('refuses a shape that it cannot work on by eight', () => {
    expect(() =>
      segment(
        { length: 8, history: 60, exclusion: 8, refresh: 32, flat: 0.05, wants: 'both', rank: 2 } as const,
        1,
      ),
    ).toThrow(RangeError)
  })
})
