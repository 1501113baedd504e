// Beyond the detector contract (kernel-detectors.test.ts): the kernel and the plain twin make the same detector, to the bit, whatever the
// values; a level that moved for good is ordinary after a while and does not blind it; a fault is loud the first time and the second; rows of
// the kernel's memory that were given back are as new; a snapshot of one is one of the other.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { KernelDetector } from '../../src/detectors/kernel-detector.ts'
import { LEFT_PROFILE_SHAPE, leftProfile } from '../../src/detectors/left-profile.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const STEP_MS = 60_000
type Next = (t: number, random: () => number) => number

const WORLDS: Readonly<Record<string, Next>> = {
  noise: (_, random) => 100 + gaussian(random),
  wave: (t, random) => 1e6 + 3e4 * Math.sin(t / 90) + 1e3 * gaussian(random),
  shift: (t, random) => (t < 900 ? 5 : 5e5) + gaussian(random),
  constant: () => 3,
  rare: (_, random) => (random() < 0.01 ? 1 + 20 * random() : 0),
  huge: (t, random) => [1e300, -1e300, 5e-324, -0, 1e-30, -1e24, 1][(t + Math.floor(7 * random())) % 7],
  gaps: (_, random) => (random() < 0.2 ? Number.NaN : random()),
}

class Run {
  readonly series = new SeriesTable(8)
  readonly detector: KernelDetector<ReturnType<typeof leftProfile>['columns']>
  readonly #batch = featureBatch(8, 0)
  readonly #out = scoreBatch(8)
  readonly #weight = new Float32Array(8).fill(1)

  constructor(isPlain = false) {
    this.detector = new KernelDetector({ series: this.series, stepMs: STEP_MS }, leftProfile(isPlain))
  }

  /** Scores and learns a window of some series; point and incident of each. */
  next(t: number, values: Readonly<Record<string, number>>): Record<string, readonly [number, number]> {
    const rows = Object.entries(values)
      .map(([key, value]) => ({ key, row: this.series.intern(testSeries(key)), value }))
      .sort((a, b) => a.row - b.row)
    this.#batch.length = rows.length
    for (const [i, { row, value }] of rows.entries()) {
      this.#batch.series[i] = row
      this.#batch.observed[i] = value
      this.#batch.windowEndMs[i] = (t + 1) * STEP_MS
    }
    this.detector.scoreNow(this.#batch, this.#out)
    this.detector.learn(this.#batch, this.#weight)
    return Object.fromEntries(rows.map(({ key }, i) => [key, [this.#out.point[i], this.#out.incident[i]]]))
  }
}

function world(names: readonly string[], seed: number): (t: number) => Record<string, number> {
  const random = mulberry32(seed)
  return t => Object.fromEntries(names.map(name => [name, WORLDS[name](t, random)]))
}

describe('left-profile@1', () => {
  it('is the same detector with and without WebAssembly', () => {
    const [fast, plain] = [new Run(), new Run(true)]
    const at = world(Object.keys(WORLDS), 1)
    let opinions = 0
    // Past the first slide of a full history.
    const windows = LEFT_PROFILE_SHAPE.history + 2 * LEFT_PROFILE_SHAPE.refresh
    for (let t = 0; t < windows; t++) {
      const values = at(t)
      const said = fast.next(t, values)
      expect(said).toEqual(plain.next(t, values))
      opinions += Object.values(said).filter(([point]) => !Number.isNaN(point)).length
    }
    expect(opinions).toBeGreaterThan(5 * windows)
    expect(fast.detector.snapshot()).toEqual(plain.detector.snapshot())
  })

  it('goes on from a snapshot of the other kind', () => {
    const [fast, plain] = [new Run(), new Run(true)]
    const at = world(['wave', 'shift'], 2)
    for (let t = 0; t < 600; t++) fast.next(t, at(t))
    for (const name of ['wave', 'shift']) plain.series.intern(testSeries(name))
    plain.detector.restore(fast.detector.snapshot())
    for (let t = 600; t < 1000; t++) {
      const values = at(t)
      expect(plain.next(t, values)).toEqual(fast.next(t, values))
    }
  })

  it('finds a spike on the old level and on the new one, a hundred thousand deviations away', () => {
    const run = new Run()
    const random = mulberry32(3)
    const incidents: number[] = []
    for (let t = 0; t < 2400; t++) {
      const spike = t === 800 || t === 2200 ? 9 : 0
      incidents.push(run.next(t, { s: WORLDS.shift(t, random) + spike }).s[1])
    }
    const most = (from: number, to: number) => Math.max(...incidents.slice(from, to))
    expect(most(800, 804)).toBeGreaterThan(2 * most(500, 800))
    expect(most(900, 904)).toBeGreaterThan(10 * most(500, 800))
    // Three hours later the new level is nothing strange, and what is strange there is seen.
    expect(most(1900, 2200)).toBeLessThan(2)
    expect(most(2200, 2204)).toBeGreaterThan(1.3 * most(1900, 2200))
  })

  it('finds a fault that has been there once before', () => {
    const run = new Run()
    const random = mulberry32(4)
    const incidents: number[] = []
    for (let t = 0; t < 1800; t++) {
      const isFault = (t >= 900 && t < 903) || (t >= 1500 && t < 1503)
      incidents.push(run.next(t, { s: isFault ? 70 + gaussian(random) : WORLDS.noise(t, random) }).s[1])
    }
    const usual = Math.max(...incidents.slice(500, 900))
    expect(Math.max(...incidents.slice(900, 903))).toBeGreaterThan(3 * usual)
    expect(Math.max(...incidents.slice(1500, 1503))).toBeGreaterThan(3 * usual)
  })

  it('gives a new series a clean row of a memory that others have used', () => {
    const [used, fresh] = [new Run(), new Run()]
    const before = world(['wave', 'rare'], 5)
    for (let t = 0; t < 300; t++) used.next(t, before(t))
    for (const name of ['wave', 'rare']) {
      const row = used.series.row(testSeries(name).key)
      used.detector.forget(row)
      used.series.evict(row)
    }
    const at = world(['noise', 'gaps'], 6)
    for (let t = 300; t < 700; t++) {
      const values = at(t)
      expect(used.next(t, values)).toEqual(fresh.next(t, values))
    }
  })
})
