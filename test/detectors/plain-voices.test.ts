// The kernel `voices` and its plain twin make the same opinions of the same raw scores, to the last bit, with pools that have counted
// little or much, every pattern of voices that speak, scores from nothing to infinity and weights that count for less; and a detector
// that fuses its own voices says what an ensemble makes of them, over days with spikes, gaps, steps and series that come later.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import type { Detector } from '../../src/core/detector.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { KindClasses } from '../../src/detectors/kind-classes.ts'
import { PlainDetector } from '../../src/detectors/plain-detector.ts'
import { TwinSegment } from '../../src/detectors/plain-segment.ts'
import { PlainVoices, voicesKernel } from '../../src/detectors/plain-voices.ts'
import { VOICES_BLOCK } from '../../src/kernels/voices.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const KINDS: readonly MetricKind[] = ['latency', 'availability', 'other', 'traffic']
const SAID = [
  'first',
  'second',
  'third',
  'surprise',
  'point',
  'incident',
  'score',
  'evidence',
  'direction',
] as const

function classesOf(rows: number): KindClasses {
  const series = new SeriesTable(rows)
  for (let i = 0; i < rows; i++) series.intern(testSeries(`s${i}`, KINDS[i % KINDS.length]))
  const classes = new KindClasses(series)
  classes.fill(
    Uint32Array.from({ length: rows }, (_, i) => i),
    rows,
    new Uint8Array(rows),
  )
  return classes
}

/** Heavy-tailed scores, now and then none, zero or something that no score should be. */
function draw(random: () => number): number {
  const dice = random()
  if (dice < 0.02)
    return [0, 0.5, 1e-30, 1e30, Number.POSITIVE_INFINITY, -1, 0.50000006][Math.floor(7 * random())]
  return 0.4 * (1 - random()) ** (-1 / (1 + 3 * random()))
}

function sameSaid(both: readonly [PlainVoices, PlainVoices], rows: number, t: number): void {
  for (const name of SAID) {
    for (let i = 0; i < rows; i++) {
      const [fast, plain] = [both[0].batch[name][i], both[1].batch[name][i]]
      if (!Object.is(fast, plain)) expect.fail(`${name} of ${i} in ${t}: ${fast}, ${plain}`)
    }
  }
}

describe('voices of plain series', () => {
  it('are weighed, fused and counted by the kernel as by its twin', () => {
    const classes = classesOf(8)
    let spoken = 0
    const run = (seed: number, windows: number, rows: number): void => {
      const random = mulberry32(seed)
      const kernel = voicesKernel()
      expect(kernel).toBeDefined()
      const both = [new PlainVoices(classes, kernel), new PlainVoices(classes, undefined)] as const
      for (let t = 0; t < windows; t++) {
        for (let i = 0; i < rows; i++) {
          const pattern = random()
          const one = [pattern < 0.4, pattern > 0.3 && pattern < 0.9, pattern > 0.3 && pattern < 0.92]
          const raw = one.map(speaks => (speaks ? draw(random) : Number.NaN))
          const expected = random() < 0.05 ? Number.NaN : gaussian(random)
          const value = random() < 0.1 ? expected : random() < 0.05 ? Number.NaN : gaussian(random)
          const [kind, weight] = [1 + (i % classes.size), random() < 0.5 ? 1 : random()]
          for (const { batch } of both) {
            batch.value[i] = value
            batch.expected[i] = expected
            batch.weight[i] = weight
            batch.first[i] = raw[0]
            batch.second[i] = raw[1]
            batch.third[i] = raw[2]
            batch.kind[i] = kind
          }
        }
        for (const voices of both) voices.opine(rows, 7 * t)
        sameSaid(both, rows, t)
        for (let i = 0; i < rows; i++) if (both[0].batch.surprise[i] > 0) spoken++
        for (const voices of both) {
          voices.count(rows, 7 * t)
          voices.begin(3_600_000)
          voices.end()
        }
        if (t % 12 === 7) expect(both[0].saved()).toEqual(both[1].saved())
        if (random() < 0.1) {
          const saved = both[1].saved()
          for (const voices of both) expect(voices.restore(saved)).toBeUndefined()
        }
        if (random() < 0.02) for (const voices of both) voices.clear()
      }
    }
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(1, 40, 300, VOICES_BLOCK), (seed, rows) => run(seed, 25, rows)),
      { numRuns: 8 },
    )
    expect(spoken).toBeGreaterThan(5000)
  })

  it('are fused alike however far apart they are', () => {
    const classes = classesOf(1)
    const both = [new PlainVoices(classes, voicesKernel()), new PlainVoices(classes, undefined)] as const
    const random = mulberry32(3)
    const say = (t: number, second: (i: number) => number, third: (i: number) => number): void => {
      for (const { batch } of both) {
        batch.value.fill(1)
        batch.expected.fill(1)
        batch.weight.fill(1)
        batch.first.fill(Number.NaN)
        batch.kind.fill(1)
        for (let i = 0; i < VOICES_BLOCK; i++) {
          batch.second[i] = second(i)
          batch.third[i] = third(i)
        }
      }
      for (const voices of both) voices.opine(VOICES_BLOCK, 0)
      sameSaid(both, VOICES_BLOCK, t)
    }
    const raw = Array.from({ length: VOICES_BLOCK }, () => 0.6 + Math.abs(gaussian(random)))
    for (let t = 0; t < 40; t++) {
      say(
        t,
        i => raw[i],
        i => raw[VOICES_BLOCK - 1 - i],
      )
      for (const voices of both) {
        voices.count(VOICES_BLOCK, 0)
        voices.begin(3_600_000)
        voices.end()
      }
    }
    // One voice is silent, the other rises from there to the ceiling.
    let highest = 0
    for (let t = 0; t < 40; t++) {
      const score = (i: number) => 0.5 * 2 ** ((t + i / VOICES_BLOCK) / 2)
      const [second, third] = t % 2 === 0 ? [score, () => 0.1] : [() => 0.1, score]
      say(100 + t, second, third)
      highest = Math.max(highest, ...both[0].batch.surprise)
    }
    expect(highest).toBeGreaterThan(11)
  })

  it('are heard as an ensemble hears them, with kernels and without', async () => {
    const [count, stepMs, day] = [40, 600_000, 144]
    const series = new SeriesTable(count)
    for (let i = 0; i < count; i++) series.intern(testSeries(`s${i}`, KINDS[i % KINDS.length]))
    const context = { series, stepMs }
    const ensembleOf = (detector: Detector) => new Ensemble([detector], ENSEMBLE_DEFAULTS, context)
    const plainly = () =>
      new PlainDetector(
        context,
        rates => new TwinSegment(rates),
        () => undefined,
      )
    const sides = [
      new PlainDetector(context),
      withoutOpinions(new PlainDetector(context)),
      withoutOpinions(plainly()),
      plainly(),
    ].map(detector => ({ ensemble: ensembleOf(detector), out: opinionBatch(count) }))
    const random = mulberry32(5)
    const batch = featureBatch(count, 0)
    const weight = new Float32Array(count)
    const told = sides.map(() => [] as unknown[])
    for (let t = 0; t < 3 * day; t++) {
      batch.length = 0
      for (let i = 0; i < count; i++) {
        if ((i % 7 === 0 && t < 50) || random() < 0.02) continue
        const fault = i % 5 === 1 && t % 200 > 190 ? 60 : 0
        const x = 50 + 20 * Math.sin((2 * Math.PI * t) / day + i) + gaussian(random) + fault
        const at = batch.length++
        batch.series[at] = i
        batch.windowEndMs[at] = (t + 1) * stepMs
        batch.observed[at] = random() < 0.01 ? Number.NaN : x
        weight[at] = random() < 0.1 ? random() : 1
      }
      for (const [s, { ensemble, out }] of sides.entries()) {
        await ensemble.score(batch, out)
        told[s].push(...ensemble.judge(batch, out))
        ensemble.learn(batch, out, weight)
        for (const [name, column] of Object.entries(out)) {
          if (typeof column === 'number') continue
          const of = sides[0].out[name as 'surprise']
          for (let i = 0; i < batch.length; i++)
            if (!Object.is(column[i], of[i])) expect.fail(`${name} of ${i} in ${t}: ${of[i]}, ${column[i]}`)
        }
      }
    }
    expect(told[0].length).toBeGreaterThan(1)
    for (const one of told) expect(one).toEqual(told[0])
  })
})

/** The same detector, of which an ensemble does not know that it fuses its own voices. */
function withoutOpinions(detector: PlainDetector): Detector {
  return new Proxy(detector, {
    has: (target, name) => name !== 'opine' && name in target,
    get: (target, name) => {
      const found = Reflect.get(target, name, target)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })
}
