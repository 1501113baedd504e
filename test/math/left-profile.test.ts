// The distances that come out of the running products are those of the definition, worked out in float64 from the values for every stretch
// anew: of noise, waves, spikes, flat and missing stretches, over many slides of the buffers. Scoring changes nothing that is learned, and
// another scale of the values changes no shape.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  learnProfile,
  type ProfileShape,
  rescaleProfile,
  SAID,
  scoreProfile,
} from '../../src/math/left-profile.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { profileState } from './profile-state.ts'

interface Stretch {
  readonly mean: number
  readonly deviation: number
  readonly values: readonly number[]
}

function stretch(values: readonly number[], end: number, length: number): Stretch | undefined {
  if (end < length - 1) return undefined
  const own = values.slice(end - length + 1, end + 1)
  if (own.some(Number.isNaN)) return undefined
  const mean = own.reduce((sum, x) => sum + x, 0) / length
  const deviation = Math.sqrt(own.reduce((sum, x) => sum + (x - mean) ** 2, 0) / length)
  return { mean, deviation, values: own }
}

/** By definition: distances of the stretch that ends at `at` to the nearest on its left, squared. */
function defined(
  values: readonly number[],
  at: number,
  { length, history, exclusion, flat, rank }: ProfileShape,
) {
  const own = stretch(values, at, length)
  const oldest = at - exclusion - history + 1
  const [shape, level] = [0, 1].map(() => new Array<number>(8).fill(Number.POSITIVE_INFINITY))
  for (let end = at - exclusion; own && end >= oldest; end--) {
    const other = stretch(values, end, length)
    if (!other) continue
    const [isFlat, isOtherFlat] = [own.deviation < flat, other.deviation < flat]
    const z = (s: Stretch, t: number) => (s.values[t] - s.mean) / s.deviation
    let [squares, apart] = [0, 0]
    for (let t = 0; t < length; t++) {
      if (!isFlat && !isOtherFlat) squares += (z(own, t) - z(other, t)) ** 2
      apart += (own.values[t] - other.values[t]) ** 2
    }
    if (isFlat !== isOtherFlat) squares = 2 * length
    const of = (end - oldest) % 8
    shape[of] = Math.min(shape[of], squares)
    level[of] = Math.min(level[of], apart)
  }
  const [nearestShape, nearestLevel] = [shape, level].map(each => {
    const found = each.sort((a, b) => a - b)[rank - 1]
    return found === Number.POSITIVE_INFINITY ? Number.NaN : found
  })
  return { shape: nearestShape, level: nearestLevel }
}

type World = (t: number, random: () => number) => number
const WORLDS: readonly World[] = [
  (_, random) => random() + random() + random() - 1.5,
  (t, random) => 3 * Math.sin(t / 7) + 0.3 * random(),
  (t, random) => (t % 61 < 25 ? 2 : Math.sin(t / 5) + 0.2 * random()),
  (t, random) => (random() < 0.02 ? 32 * (random() - 0.5) : t % 9),
  (t, random) => (random() < 0.03 ? Number.NaN : random() + (t > 150 ? 12 : 0)),
]

/** Largest errors of the squared distances, a value of a stretch, between twin and definition. */
function errors(world: World, shape: ProfileShape, seed: number, windows: number) {
  const random = mulberry32(seed)
  const values: number[] = []
  const s = profileState(shape)
  const worst = { shape: 0, level: 0, compared: 0 }
  for (let t = 0; t < windows; t++) {
    const x = Math.fround(world(t, random))
    values.push(x)
    scoreProfile(s, shape, x)
    const exact = defined(values, t, shape)
    for (const name of ['shape', 'level'] as const) {
      const found = s.said[SAID[name]]
      expect(Number.isNaN(found)).toBe(Number.isNaN(exact[name]))
      if (Number.isNaN(found)) continue
      worst.compared++
      worst[name] = Math.max(worst[name], Math.abs(found * found - exact[name]) / shape.length)
    }
    learnProfile(s, shape, x)
  }
  return worst
}

const shapes = fc
  .record({
    length: fc.integer({ min: 4, max: 24 }),
    history: fc.integer({ min: 1, max: 8 }).map(n => 8 * n),
    exclusion: fc.integer({ min: 1, max: 30 }),
    refresh: fc.integer({ min: 1, max: 12 }).map(n => 4 * n),
    rank: fc.constantFrom(1, 1, 2, 3, 8),
  })
  .map(shape => ({ ...shape, flat: 0.05, wants: 'both' as const }))

describe('left profile', () => {
  it('is the distance to the nearest stretch on the left, of whatever length, history and exclusion', () => {
    let compared = 0
    fc.assert(
      fc.property(
        shapes,
        fc.constantFrom(...WORLDS),
        fc.integer({ min: 1, max: 1e6 }),
        (shape, world, seed) => {
          const worst = errors(world, shape, seed, 260)
          compared += worst.compared
          expect(worst.shape).toBeLessThan(4e-3)
          expect(worst.level).toBeLessThan(1e-3)
        },
      ),
      { numRuns: 40 },
    )
    expect(compared).toBeGreaterThan(10_000)
  })

  it('loses no more digits over the longest refresh that ships than it states', () => {
    const shape = {
      length: 16,
      history: 512,
      exclusion: 16,
      refresh: 256,
      flat: 0.05,
      wants: 'both',
      rank: 1,
    } as const
    for (const world of WORLDS) {
      const worst = errors(world, shape, 7, 1000)
      expect(worst.shape).toBeLessThan(4e-3)
      expect(worst.level).toBeLessThan(1e-3)
    }
  })

  it('has nothing to say before there is a stretch on the left, nor while a value is missing', () => {
    const shape = {
      length: 5,
      history: 8,
      exclusion: 3,
      refresh: 4,
      flat: 0.05,
      wants: 'both',
      rank: 1,
    } as const
    const s = profileState(shape)
    const said: boolean[] = []
    for (let t = 0; t < 40; t++) {
      const x = t === 20 ? Number.NaN : Math.sin(t)
      scoreProfile(s, shape, x)
      said.push(!Number.isNaN(s.said[SAID.level]))
      learnProfile(s, shape, x)
    }
    expect(said.indexOf(true)).toBe(shape.length - 1 + shape.exclusion)
    expect(said.slice(7, 20).every(is => is)).toBe(true)
    expect(said.slice(20, 25).some(is => is)).toBe(false)
    expect(said[25]).toBe(true)
  })

  it('learns the same whatever was scored in between', () => {
    const shape = {
      length: 8,
      history: 32,
      exclusion: 8,
      refresh: 16,
      flat: 0.05,
      wants: 'both',
      rank: 1,
    } as const
    const [a, b] = [profileState(shape), profileState(shape)]
    const random = mulberry32(3)
    for (let t = 0; t < 200; t++) {
      const x = random() + Math.sin(t / 4)
      scoreProfile(b, shape, 30 - x)
      scoreProfile(b, shape, Number.NaN)
      scoreProfile(a, shape, x)
      scoreProfile(b, shape, x)
      expect(b.said).toEqual(a.said)
      expect(learnProfile(b, shape, x)).toBe(learnProfile(a, shape, x))
    }
  })

  it('finds the same shapes, and levels in the new unit, once values were put on another scale', () => {
    const shape = {
      length: 8,
      history: 64,
      exclusion: 8,
      refresh: 32,
      flat: 1e-3,
      wants: 'both',
      rank: 1,
    } as const
    const [a, b] = [profileState(shape), profileState(shape)]
    const random = mulberry32(5)
    let slid = 0
    for (let t = 0; t < 300; t++) {
      const x = Math.fround(random() + 2 * Math.sin(t / 6))
      const moved = slid > 2 ? 0.5 * x + 1 : x
      scoreProfile(a, shape, x)
      scoreProfile(b, shape, moved)
      if (t > 100) {
        expect(b.said[SAID.shape]).toBeCloseTo(a.said[SAID.shape], 2)
        expect(b.said[SAID.level]).toBeCloseTo((slid > 2 ? 0.5 : 1) * a.said[SAID.level], 2)
      }
      learnProfile(a, shape, x)
      if (!learnProfile(b, shape, moved)) continue
      if (++slid !== 3) continue
      for (let k = 0; k < b.values.length; k++) b.values[k] = 0.5 * b.values[k] + 1
      rescaleProfile(b, shape)
    }
    expect(slid).toBeGreaterThan(4)
  })
})
