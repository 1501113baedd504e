// Shows that every detector for suspects keeps the detector contract, needs no more memory than documented, and is
// loudest where the trouble is in a made series: a spike, a shape that is wrong at ordinary values, a stuck sensor.
// And that none of them speaks of what is natural: the same seed gives the same forest, another key another.
import { describe, expect, it } from 'vitest'
import type { ColumnSpec } from '../../src/core/columns.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { CUT_FOREST } from '../../src/detectors/cut-forest.ts'
import { FLATLINE } from '../../src/detectors/flatline.ts'
import { HALF_SPACE } from '../../src/detectors/half-space.ts'
import { type Kernel, KernelDetector } from '../../src/detectors/kernel-detector.ts'
import { leftProfile } from '../../src/detectors/left-profile.ts'
import { SHAPE_NEIGHBOURS } from '../../src/detectors/shape-neighbours.ts'
import { SPECTRAL_RESIDUAL } from '../../src/detectors/spectral-residual.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian } from './contract.ts'
import { runLone } from './lone-run.ts'

detectorContract('rcf@1', context => new KernelDetector(context, CUT_FOREST), { windows: 160 })
detectorContract('hst@1', context => new KernelDetector(context, HALF_SPACE))
detectorContract('sr@1', context => new KernelDetector(context, SPECTRAL_RESIDUAL))
detectorContract('shapes@1', context => new KernelDetector(context, SHAPE_NEIGHBOURS))
detectorContract('left-profile@1', context => new KernelDetector(context, leftProfile()))
detectorContract('flatline@1', context => new KernelDetector(context, FLATLINE))

const STEP_MS = 300_000
const PERIOD = 48

const run = <S extends ColumnSpec>(kernel: Kernel<S>, values: readonly number[], key?: string) =>
  runLone(context => new KernelDetector(context, kernel), STEP_MS, values, key)

const LENGTH = 1600
const AT = 1400

function waves(seed = 3): number[] {
  const random = mulberry32(seed)
  return Array.from(
    { length: LENGTH },
    (_, t) => 100 + 30 * Math.sin((2 * Math.PI * t) / PERIOD) + gaussian(random),
  )
}

/** Place of the largest value from window 500 on. */
function loudest(values: readonly number[]): number {
  let at = 500
  for (let t = 500; t < values.length; t++) if (values[t] > values[at]) at = t
  return at
}

describe('a spike', () => {
  it.each([
    ['rcf@1', CUT_FOREST],
    ['hst@1', HALF_SPACE],
    ['sr@1', SPECTRAL_RESIDUAL],
    ['shapes@1', SHAPE_NEIGHBOURS],
    ['left-profile@1', leftProfile()],
  ] as const)('is the loudest window of %s, by point and by incident', (_, kernel) => {
    const values = waves()
    values[AT] += 60
    // Several values are looked at, so the windows after a spike are loud as well; later ones are another matter.
    const found = run(kernel as Kernel<ColumnSpec>, values.slice(0, AT + 8))
    for (const output of ['point', 'incident'] as const) {
      const at = loudest(found.map(row => row[output]))
      expect(at).toBeGreaterThanOrEqual(AT)
    }
    const before = found.slice(500, AT).map(row => row.point)
    expect(Math.max(...found.slice(AT, AT + 8).map(row => row.point))).toBeGreaterThan(
      1.2 * Math.max(...before),
    )
  })
})

describe('ordinary values in an order that never was', () => {
  it.each([
    ['rcf@1', CUT_FOREST],
    ['shapes@1', SHAPE_NEIGHBOURS],
    ['left-profile@1', leftProfile()],
  ] as const)('are found by %s', (_, kernel) => {
    const values = waves()
    // Where the wave should rise through its middle it rests at its middle for a quarter of a period.
    for (let t = AT; t < AT + 12; t++) values[t] = 100 + (values[t] % 1)
    const found = run(kernel as Kernel<ColumnSpec>, values).map(row => row.incident)
    const at = loudest(found)
    expect(at).toBeGreaterThanOrEqual(AT)
    expect(at).toBeLessThan(AT + 20)
  })
})

describe('flatline@1', () => {
  const surprises = (values: readonly number[]) => run(FLATLINE, values).map(row => row.surprise)
  const most = (values: readonly number[]) => Math.max(...values.filter(value => !Number.isNaN(value)))

  it('finds a sensor that stopped, also one that trembles in its last digit', () => {
    for (const tremble of [0, 0.001]) {
      const random = mulberry32(9)
      const values = waves().map((value, t) => (t < AT ? value : 104 + tremble * random()))
      const found = surprises(values)
      expect(most(found.slice(0, AT))).toBe(0)
      expect(found[AT + 6]).toBe(0)
      expect(found[AT + 12]).toBeGreaterThan(3)
      expect(most(found.slice(AT + 12))).toBeLessThanOrEqual(6)
    }
  })

  it('says nothing of series that are constant, rest at zero, or rest as long as they always did', () => {
    const random = mulberry32(4)
    const constant = Array.from({ length: LENGTH }, () => 5)
    const counter = waves().map((value, t) => (t < AT ? value : 0))
    let level = 10
    const quantised = Array.from({ length: LENGTH }, () => {
      if (random() < 0.05) level += random() < 0.5 ? 1 : -1
      return level
    })
    expect(most(surprises(constant))).toBe(0)
    expect(most(surprises(counter))).toBe(0)
    // Geometric rests: a new longest comes now and then, one twice as long as any is what is rare.
    expect(surprises(quantised).filter(value => value > 2).length).toBeLessThan(LENGTH / 100)
  })

  it('learns from a long rest that rests may be long', () => {
    const values = waves()
    for (const from of [600, 900, 1200]) for (let t = from; t < from + 100; t++) values[t] = 50
    const found = surprises(values)
    const loud = (from: number) => found.slice(from, from + 100).filter(value => value > 0).length
    expect(loud(600)).toBeGreaterThan(80)
    expect(loud(1200)).toBeLessThan(loud(600) / 2)
  })
})

describe('memory and seeds', () => {
  it.each([
    ['rcf@1', CUT_FOREST, 900_000],
    ['hst@1', HALF_SPACE, 11_500],
    ['sr@1', SPECTRAL_RESIDUAL, 1300],
    ['shapes@1', SHAPE_NEIGHBOURS, 2300],
    ['left-profile@1', leftProfile(), 72_500],
    ['flatline@1', FLATLINE, 300],
  ] as const)('%s takes the bytes that the documentation states', (_, kernel, most) => {
    const series = new SeriesTable(1)
    const detector = new KernelDetector({ series, stepMs: STEP_MS }, kernel as Kernel<ColumnSpec>)
    expect(detector.rowBytes).toBeLessThanOrEqual(most)
    expect(detector.rowBytes).toBeGreaterThan(most / 2)
  })

  it('rcf@1 draws its trees from the key of the series', () => {
    const values = waves()
    const of = (key: string) => run(CUT_FOREST as Kernel<ColumnSpec>, values, key).map(row => row.point)
    expect(of('a')).toEqual(of('a'))
    expect(of('a')).not.toEqual(of('b'))
  })
})
