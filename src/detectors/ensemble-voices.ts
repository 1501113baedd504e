import type { FeatureBatch, OpinionBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector } from '../core/detector.ts'
import type { SeriesRows } from '../core/series.ts'
import { BLOCK_ROWS, blocksOf } from './blocks.ts'
import { Calibration } from './calibration.ts'
import { fuse, fuseCovered } from './fusion.ts'
import { publicScores } from './severity.ts'

/** One voice: its calibration, and for the batch scored last its surprises. */
interface Voice {
  readonly detector: number
  /** The detector covers few rows. */
  readonly isCovering: boolean
  readonly column: 'score' | 'point' | 'incident'
  readonly calibration: Calibration | undefined
  readonly feeds: readonly string[]
  surprise: Float32Array
  /** The surprise and what the calibration counts, a view a block: making views costs garbage. */
  surprises: Float32Array[]
  bins: Uint8Array[]
}

/** Who is heard for an opinion: surprises of the batch scored last, and whose they are. */
interface Feed {
  heard: Float32Array[]
  /** With the voices of detectors that cover few rows behind them. */
  all: Float32Array[]
  by: Uint8Array
}

const FEEDS = ['point', 'incident', 'surprise'] as const

const DEFAULT_VOICES = [
  { column: 'score', feeds: ['surprise'] },
  { column: 'point', feeds: ['point'] },
  { column: 'incident', feeds: ['incident'] },
] as const

/** What detectors say, as surprises by calibrations of their own, and the opinions that these are fused into. */
export class EnsembleVoices {
  /** In the order of their detectors. */
  readonly all: readonly Voice[]
  readonly #feeds: Record<(typeof FEEDS)[number], Feed>

  /** Detectors that are given whole batches are taken to cover few rows. */
  constructor(detectors: readonly Detector[], series: SeriesRows) {
    this.all = detectors.flatMap((detector, at) =>
      (detector.voices ?? DEFAULT_VOICES).map((voice): Voice => {
        const calibrated = 'calibrated' in voice && voice.calibrated === true
        const name = 'name' in voice && voice.name !== undefined ? voice.name : voice.column
        return {
          detector: at,
          isCovering: detector.whole === true,
          column: voice.column,
          feeds: voice.feeds,
          calibration: calibrated ? undefined : new Calibration(`calibration:${detector.id}:${name}`, series),
          surprise: new Float32Array(0),
          surprises: [],
          bins: [],
        }
      }),
    )
    const feed = (): Feed => ({ heard: [], all: [], by: new Uint8Array(this.all.length + 1) })
    this.#feeds = { point: feed(), incident: feed(), surprise: feed() }
  }

  get calibrations(): Calibration[] {
    return this.all.flatMap(voice => voice.calibration ?? [])
  }

  /** Room for batches of so many rows, whole blocks; the surprises of all voices. */
  reserve(capacity: number): readonly Float32Array[] {
    for (const voice of this.all) {
      voice.surprise = new Float32Array(capacity)
      voice.surprises = blocksOf(voice.surprise)
      voice.bins = blocksOf(new Uint8Array(capacity))
    }
    for (const name of FEEDS) {
      const fed = this.all.filter(voice => voice.feeds.includes(name))
      const heard = fed.filter(({ isCovering }) => !isCovering)
      const all = [...heard, ...fed.filter(({ isCovering }) => isCovering)]
      this.#feeds[name].heard = heard.map(voice => voice.surprise)
      this.#feeds[name].all = all.map(voice => voice.surprise)
      this.#feeds[name].by.set(all.map(voice => voice.detector))
    }
    return this.all.map(voice => voice.surprise)
  }

  /** Raw scores of the block from `from` on, by detector, into surprises. */
  calibrate({ length, series }: FeatureBatch, outputs: readonly ScoreBatch[], from: number): void {
    const at = from / BLOCK_ROWS
    for (const voice of this.all) {
      const surprise = voice.surprises[at]
      const raw = outputs[voice.detector][voice.column]
      if (voice.calibration) voice.calibration.surprise(series, length, raw, surprise, voice.bins[at])
      else surprise.set(raw)
    }
  }

  /** Surprises of rows from..from + length into opinions. `hasCovered`: detectors that cover few rows have something to say. */
  opine(out: OpinionBatch, from: number, length: number, hasCovered: boolean): void {
    const to = from + length
    const { strongest } = out
    for (const feed of FEEDS) {
      const { heard, all, by } = this.#feeds[feed]
      fuse(heard, from, to, out[feed], strongest)
      if (hasCovered && all.length > heard.length)
        fuseCovered(all, heard.length, from, to, out[feed], strongest)
      // Last comes surprise: the strongest voice in it names the strongest detector.
      if (feed === 'surprise') for (let i = from; i < to; i++) strongest[i] = by[strongest[i]]
    }
    publicScores(out.surprise, out.score, from, to)
  }

  /** Calibrations count what was said of a block; `at`: its number in the batch. */
  learn({ series, length }: FeatureBatch, at: number, weights: Float32Array): void {
    for (const { calibration, bins, surprises } of this.all)
      calibration?.learn(series, length, bins[at], surprises[at], weights)
  }

  /** The same of some rows of the batch, which were copied together; rare. */
  learnSome({ series, length }: FeatureBatch, rows: Uint32Array, weights: Float32Array): void {
    for (const { calibration, bins, surprise } of this.all) {
      const counted = Uint8Array.from(rows, row => bins[Math.floor(row / BLOCK_ROWS)][row % BLOCK_ROWS])
      const found = Float32Array.from(rows, row => surprise[row])
      calibration?.learn(series, length, counted, found, weights)
    }
  }

  forget(series: number): void {
    for (const { calibration } of this.all) calibration?.forget(series)
  }

  bytes(): number {
    return this.all.reduce(
      (sum, { calibration, surprise }) => sum + (calibration?.bytes() ?? 0) + 5 * surprise.length,
      0,
    )
  }
}
