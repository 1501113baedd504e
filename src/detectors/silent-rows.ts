import { type FeatureBatch, type OpinionBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { Detector } from '../core/detector.ts'
import type { HeardVoice } from './hearing.ts'
import { publicScore } from './severity.ts'

/** Evidence of a series that is missed. */
export const EVIDENCE_ABSENT = 8

/** A detector that says something of rows without a value alone: calibrated, one score for all opinions. */
export interface SilenceSource extends Detector {
  /** Whether a batch has such rows. */
  concerns(batch: FeatureBatch): boolean
}

/**
 * Opinions of rows without a value, of which nobody but one detector has any. It stands beside fusion: what is said of rows
 * that have a value is to the bit what it is without it, and takes no time.
 */
export class SilentRows {
  readonly #source: SilenceSource
  readonly #place: number
  readonly #openAt: number
  #said: ScoreBatch = scoreBatch(0)
  #surprise = new Float32Array(0)
  #voice: HeardVoice

  /** `place` of the source among the detectors; from the surprise `openAt` on a series is missed. */
  constructor(source: SilenceSource, place: number, openAt: number) {
    this.#source = source
    this.#place = place
    this.#openAt = openAt
    this.#voice = { detector: place, surprise: this.#surprise }
  }

  /** What it said of the rows of the batch scored last. */
  get voice(): HeardVoice {
    return this.#voice
  }

  reserve(rows: number): void {
    this.#surprise = new Float32Array(rows).fill(Number.NaN)
    this.#voice = { detector: this.#place, surprise: this.#surprise }
  }

  /** Puts opinions of the block's silent rows into rows `from`… of `out`. */
  speak(block: FeatureBatch, out: OpinionBatch, from: number): void {
    const { length } = block
    this.#surprise.fill(Number.NaN, from, from + length)
    if (!this.#source.concerns(block)) return
    if (this.#said.capacity < length) this.#said = scoreBatch(block.capacity)
    void this.#source.score(block, this.#said)
    this.#surprise.set(
      length === this.#said.capacity ? this.#said.score : this.#said.score.subarray(0, length),
      from,
    )
    putSilent(block, this.#said, out, from, this.#place, this.#openAt)
  }
}

function putSilent(
  block: FeatureBatch,
  said: ScoreBatch,
  out: OpinionBatch,
  from: number,
  place: number,
  openAt: number,
): void {
  const { length } = block
  const { score, expected } = said
  for (let j = 0; j < length; j++) {
    if (Number.isNaN(score[j])) continue
    const i = from + j
    out.surprise[i] = score[j]
    out.point[i] = score[j]
    out.incident[i] = score[j]
    out.score[i] = publicScore(score[j])
    out.expected[i] = expected[j]
    out.evidence[i] = score[j] >= openAt ? EVIDENCE_ABSENT : 0
    out.direction[i] = 0
    out.strongest[i] = place
  }
}
