// Shows the silence of plain series: the detector contract beside plain@1, whose counts it reads; scores as absence@1 would give
// them, for any pattern of silence (property test, with the tolerance stated); that what is said of rows with a value is to the bit
// what is said without it; and that a plain series which falls silent is told, once, and not looked at closely.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type FeatureBatch,
  featureBatch,
  opinionBatch,
  type ScoreBatch,
  scoreBatch,
} from '../../src/core/batch.ts'
import type { DetectorContext } from '../../src/core/detector.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import { AbsenceDetector } from '../../src/detectors/absence.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { nestSnapshot, unnestSnapshot } from '../../src/detectors/nested-snapshot.ts'
import { PlainAbsence } from '../../src/detectors/plain-absence.ts'
import { PlainDetector } from '../../src/detectors/plain-detector.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

/** It and the detector whose counts it reads, as one. */
class Watched extends PlainAbsence {
  readonly shape: PlainDetector

  constructor(context: DetectorContext) {
    const shape = new PlainDetector(context)
    super(context, shape)
    this.shape = shape
  }

  /** Rows with a value are others' business; alone it is calm about them. */
  override score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    const done = super.score(batch, out)
    for (let i = 0; i < batch.length; i++) {
      if (Number.isNaN(batch.observed[i]) || this.shape.learned(batch.series[i]) < this.warmUpWindows)
        continue
      expect(out.score[i]).toBeNaN()
      out.score[i] = 0
    }
    return done
  }

  override learn(batch: FeatureBatch, weight: Float32Array): void {
    this.shape.learn(batch, weight)
    super.learn(batch, weight)
  }

  override forget(series: number): void {
    super.forget(series)
    this.shape.forget(series)
  }

  override snapshot(): Snapshot {
    return nestSnapshot(super.snapshot(), 'shape', this.shape.snapshot())
  }

  override restore(from: Snapshot): void {
    const { own, inner } = unnestSnapshot(from, 'shape')
    this.shape.restore(inner)
    super.restore(own)
  }

  override bytes(): number {
    return super.bytes() + this.shape.bytes()
  }
}

detectorContract('plain-absence@1', context => new Watched(context), { windows: 400 })

const STEP_MS = 60_000
const START_MS = Date.UTC(2026, 0, 5)

/** Scores of silent windows by absence@1 and here, over one series that is there where `there` says so. */
async function both(there: readonly boolean[]): Promise<(readonly [number, number])[]> {
  const series = new SeriesTable(4)
  series.intern(testSeries('only'))
  const context = { series, stepMs: STEP_MS }
  const detectors = [new AbsenceDetector(context), new Watched(context)] as const
  const batch = featureBatch(1, 0)
  batch.length = 1
  const outs = [scoreBatch(1), scoreBatch(1)] as const
  const found: (readonly [number, number])[] = []
  for (const [t, isThere] of there.entries()) {
    batch.windowEndMs[0] = START_MS + t * STEP_MS
    batch.observed[0] = isThere ? 5 + Math.sin(t) : Number.NaN
    for (const [d, detector] of detectors.entries()) {
      await detector.score(batch, outs[d])
      detector.learn(batch, Float32Array.of(1))
    }
    if (!isThere) found.push([outs[0].score[0], outs[1].score[0]])
  }
  return found
}

describe('silence of plain series', () => {
  it('scores as absence@1 does, to a twelfth of an order of magnitude where silence is rare', async () => {
    const run = fc.record({
      there: fc.integer({ min: 25, max: 400 }),
      silent: fc.integer({ min: 1, max: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 5 }), async runs => {
        const there = runs.flatMap(({ there, silent }) => [
          ...new Array<boolean>(there).fill(true),
          ...new Array<boolean>(silent).fill(false),
        ])
        for (const [known, own] of await both(there)) expect(Math.abs(known - own)).toBeLessThan(1 / 12)
      }),
      { numRuns: 25, seed: 5 },
    )
  })

  it('finds nothing strange in a series that was always sparse, and misses a regular one for the longer it was there', async () => {
    const random = mulberry32(3)
    const sparse = Array.from({ length: 600 }, (_, t) => t < 1 || random() < 0.3)
    const late = (await both(sparse)).slice(-100)
    expect(Math.max(...late.map(([, own]) => own))).toBeLessThan(3.3)
    const missed = async (windows: number) => {
      const there = [...new Array<boolean>(windows).fill(true), false, false, false]
      return (await both(there)).map(([, own]) => own)
    }
    const [young, old] = [await missed(40), await missed(3000)]
    expect(young[2]).toBeGreaterThan(young[0])
    expect(old[0]).toBeGreaterThan(young[0] + 1)
    expect(old[1]).toBeGreaterThan(ENSEMBLE_DEFAULTS.openAt)
  })

  const ROWS = 1500
  function stage(withSilence: boolean) {
    const series = new SeriesTable(ROWS)
    for (let i = 0; i < ROWS; i++) series.intern(testSeries(`m${i}`, 'latency', 's'))
    const context = { series, stepMs: STEP_MS }
    const shape = new PlainDetector(context)
    const silence = withSilence ? new PlainAbsence(context, shape) : undefined
    return new Ensemble([shape], ENSEMBLE_DEFAULTS, context, { silence })
  }

  /** Windows of noise in which rows 7 and 1400 are silent from 100 to 110. */
  async function play(ensemble: Ensemble, from: number, to: number, withSilence = true) {
    const batch = featureBatch(ROWS, 0)
    const out = opinionBatch(ROWS)
    const told: string[] = []
    const heard: number[][] = []
    for (let t = from; t < to; t++) {
      batch.length = ROWS
      const random = mulberry32(t)
      for (let i = 0; i < ROWS; i++) {
        batch.series[i] = i
        batch.windowEndMs[i] = START_MS + (t + 1) * STEP_MS
        const silent = t >= 100 && t < 110 && (i === 7 || i === 1400)
        const value = 10 + gaussian(random) + (i === 3 && t > 105 ? 30 : 0)
        batch.observed[i] = silent ? Number.NaN : value
      }
      await ensemble.score(batch, out)
      for (const { event, anomaly } of ensemble.judge(batch, out))
        told.push(`${t} ${anomaly.series} ${event} ${anomaly.direction} ${anomaly.detectors[0]?.id}`)
      const rows = Array.from({ length: ROWS }, (_, i) => i).filter(i => !Number.isNaN(batch.observed[i]))
      heard.push(
        rows.flatMap(i => [
          out.surprise[i],
          out.point[i],
          out.expected[i],
          out.evidence[i],
          out.strongest[i],
        ]),
      )
      if (withSilence && t === 105) {
        for (const i of [7, 1400]) {
          expect(out.evidence[i]).toBe(8)
          expect(out.expected[i]).toBeGreaterThan(5)
        }
      }
      ensemble.learn(batch, out, new Float32Array(ROWS).fill(1))
    }
    return { told, heard }
  }

  it('is told of once, and closed when values are back; of nothing else anything is said otherwise', async () => {
    const [without, own] = [await play(stage(false), 0, 125, false), await play(stage(true), 0, 125)]
    // Once values are back the shared calibrations learn less of series whose anomaly is still open.
    expect(own.heard.slice(0, 110)).toEqual(without.heard.slice(0, 110))
    const silent = own.told.filter(line => / (7|1400) /.test(line) && !line.includes('updated'))
    expect(silent.map(line => line.replace(/^\d+ /, ''))).toEqual([
      '7 opened absent plain-absence@1',
      '1400 opened absent plain-absence@1',
      '7 closed absent plain-absence@1',
      '1400 closed absent plain-absence@1',
    ])
    expect(Number.parseInt(silent[0], 10)).toBeLessThan(106)
    expect(own.told.filter(line => !/ (7|1400) /.test(line))).toEqual(without.told)
  })

  it('goes on after a restart in the middle of it', async () => {
    const whole = await play(stage(true), 0, 125)
    for (const at of [101, 103, 108]) {
      const first = stage(true)
      const before = await play(first, 0, at)
      const second = stage(true)
      second.restore(structuredClone(first.snapshot()) as Snapshot[])
      const after = await play(second, at, 125)
      expect([...before.told, ...after.told], `restart at ${at}`).toEqual(whole.told)
    }
  })

  it('takes eight bytes a series, and nothing while no series was ever silent', async () => {
    const series = new SeriesTable(70_000)
    for (let i = 0; i < 70_000; i++) series.intern(testSeries(`m${i}`))
    const context = { series, stepMs: STEP_MS }
    const watched = new Watched(context)
    const own = () => watched.bytes() - watched.shape.bytes()
    const batch = featureBatch(2, 0)
    batch.length = 2
    batch.series.set([1, 65_600])
    for (let t = 0; t < 30; t++) watched.learn(batch, Float32Array.of(1, 1))
    expect(own()).toBe(0)
    batch.observed[0] = Number.NaN
    watched.learn(batch, Float32Array.of(1, 1))
    expect(own()).toBe(8 * 65_536)
    expect(watched.counts()).toEqual({ silent: 1 })
  })
})
