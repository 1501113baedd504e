// Beyond the detector contract (kernel-detectors.test.ts): the kernel and the plain twin keep the same forest and say the same, to the bit,
// whatever the values, weights and ages, of trees that fill, are full, and hold many points that are equal; rows of the kernel's memory that
// were given back are as new; a snapshot of one is one of the other.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { CUT_FOREST } from '../../src/detectors/cut-forest.ts'
import { KernelDetector } from '../../src/detectors/kernel-detector.ts'
import { LazyRows } from '../../src/detectors/lazy-rows.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const WORLDS: readonly ((t: number, random: () => number) => number)[] = [
  (_, random) => 100 + gaussian(random),
  (t, random) => 1e6 + 3e4 * Math.sin(t / 90) + 1e3 * gaussian(random),
  (t, random) => (t < 300 ? 5 : 5e5) + gaussian(random),
  () => 3,
  (_, random) => Math.floor(3 * random()),
  (_, random) => (random() < 0.01 ? 1 + 20 * random() : 0),
  (t, random) => (t % 40 < 20 ? -0 : random() < 0.5 ? 0 : random()),
  (t, random) => [1e18, -1e18, 5e-324, -0, 1e-30, -1e12, 1][(t + Math.floor(7 * random())) % 7],
  (t, random) => Math.exp(30 * (random() - 0.7)) + (t % 3),
]

/** `CUT_FOREST` where there is no WebAssembly. */
const { home, ...PLAIN } = CUT_FOREST
const rowsOf = (isPlain: boolean) => new LazyRows(CUT_FOREST.columns, isPlain ? undefined : home?.())

/** Of columns by name: matchers take a minute where there are millions of numbers. */
const bytesOf = (columns: Readonly<Record<string, ArrayBufferView>>) =>
  Object.entries(columns).map(
    ([name, of]) => [name, Buffer.from(of.buffer, of.byteOffset, of.byteLength)] as const,
  )

describe('cut-forest kernel', () => {
  it.each([...WORLDS.keys()])('says and keeps what the twin does, to the bit: series %s', world => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(40, 400, 900), (seed, length) => {
        const random = mulberry32(seed)
        const [fast, plain] = [rowsOf(false).ensure(0), rowsOf(true).ensure(0)]
        // One lies in the memory of the kernel, or there is nothing to compare.
        expect(fast.random.buffer.byteLength).toBeGreaterThan(plain.random.buffer.byteLength)
        const first = WORLDS[world](0, random)
        for (const state of [fast, plain]) CUT_FOREST.start(state, seed, first)
        for (let t = 0; t < length; t++) {
          const x = WORLDS[world](t, random)
          const weight = random() < 0.7 ? 1 : random()
          if (!Object.is(CUT_FOREST.strangeness(fast, x), PLAIN.strangeness(plain, x)))
            expect.fail(`window ${t} of seed ${seed}`)
          CUT_FOREST.learn(fast, x, weight, t)
          PLAIN.learn(plain, x, weight, t)
        }
        // With the sign of zeros.
        const kept = new Map(bytesOf(fast))
        for (const [name, bytes] of bytesOf(plain)) expect(kept.get(name)?.equals(bytes), name).toBe(true)
      }),
      { numRuns: 6, examples: [[0xffff_ffff, 1500]] },
    )
  })
})

const STEP_MS = 60_000

type Snapshots = Pick<KernelDetector<typeof CUT_FOREST.columns>, 'snapshot'>

function expectSame(one: Snapshots, other: Snapshots): void {
  const [a, b] = [one.snapshot(), other.snapshot()]
  expect(a.keys).toEqual(b.keys)
  const others = new Map(bytesOf(b.columns))
  for (const [name, bytes] of bytesOf(a.columns)) expect(others.get(name)?.equals(bytes), name).toBe(true)
}

function runOf(kernel: typeof CUT_FOREST) {
  const series = new SeriesTable(40)
  const detector = new KernelDetector({ series, stepMs: STEP_MS }, kernel)
  const batch = featureBatch(1, 0)
  const out = scoreBatch(1)
  batch.length = 1
  const next = (key: string, t: number, x: number) => {
    batch.series[0] = series.intern(testSeries(key))
    batch.windowEndMs[0] = STEP_MS * (t + 1)
    batch.observed[0] = x
    detector.scoreNow(batch, out)
    detector.learn(batch, Float32Array.of(1))
    return [out.score[0], out.point[0], out.incident[0]]
  }
  return { series, detector, next }
}

describe('rcf@1', () => {
  it('gives back rows of the memory as new, and takes another when one is full', () => {
    const [used, fresh] = [runOf(CUT_FOREST), runOf(CUT_FOREST)]
    const random = mulberry32(3)
    const keys = Array.from({ length: 20 }, (_, i) => `s${i}`)
    for (const key of keys) for (let t = 0; t < 80; t++) used.next(key, t, gaussian(random))
    for (const key of keys) used.detector.forget(used.series.row(key))
    expect(used.detector.snapshot().keys).toEqual([])
    for (let t = 0; t < 80; t++)
      for (const key of keys) {
        const x = gaussian(random)
        expect(used.next(key, t, x)).toEqual(fresh.next(key, t, x))
      }
    expectSame(used.detector, fresh.detector)
  })

  it('goes on from a snapshot of the other kind', () => {
    const [fast, plain] = [runOf(CUT_FOREST), runOf(PLAIN)]
    const random = mulberry32(4)
    for (let t = 0; t < 400; t++) fast.next('s', t, gaussian(random))
    plain.series.intern(testSeries('s'))
    plain.detector.restore(fast.detector.snapshot())
    for (let t = 400; t < 500; t++) {
      const x = gaussian(random)
      expect(fast.next('s', t, x)).toEqual(plain.next('s', t, x))
    }
    const back = runOf(CUT_FOREST)
    back.series.intern(testSeries('s'))
    back.detector.restore(plain.detector.snapshot())
    expectSame(back.detector, fast.detector)
  })
})
