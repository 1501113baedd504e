import type { Labels } from '../core/series.ts'
import { type ChangeScore, changeAt, SCORE_WIDTH } from './change-score.ts'

/** What a finding is about, the same in every ranking: a series, or what stands for one. */
export interface Subject {
  readonly key: string
  readonly metric: string
  readonly unit: string
  readonly entity: string
  readonly family: number
  /** Whether it measures a call, and whose. */
  readonly onEdge: boolean
  readonly caller: string
  /** Which copy of the caller measured the call, '' when nobody did or the callee itself. */
  readonly point: string
  /** Whom the call went to, where it speaks against its caller; '' otherwise. */
  readonly callee: string
  /** Names the measure that several copies of the entity take, without the copy; '' when there is one. */
  readonly copyOf: string
  readonly labels: Labels
  readonly absent: boolean
}

/** One scored series of an entity; the finding of the scorers, before entities are compared. */
export interface Finding extends Subject {
  /** Unix ms, NaN when it never crossed. */
  readonly onsetMs: number
  readonly change: ChangeScore
}

/** Of a finding that measures no call, and is not one of several copies of a measure. */
export const NO_CALL = { onEdge: false, caller: '', point: '', callee: '', copyOf: '' } as const

/** Place of the onset, Unix ms, among the numbers of a finding, after those of SCORE. */
export const ONSET_MS = SCORE_WIDTH
/** Windows since the series was first heard, 0 where nobody counts them. */
export const AGE = SCORE_WIDTH + 1
export const FINDING_WIDTH = SCORE_WIDTH + 2
/** Findings that there is room for at first. */
const FEWEST = 64

/**
 * Findings in columns, filled again for each question: of thousands only the strongest of each family of an entity is ever told, and
 * only that becomes an object.
 */
export class Findings {
  length = 0
  /** What each is about; what lies beyond `length` is of an earlier question. */
  readonly subjects: Subject[]
  /** FINDING_WIDTH numbers each: those of SCORE, the onset, the age. */
  numbers = new Float64Array(FINDING_WIDTH * FEWEST)

  constructor(subjects: Subject[] = []) {
    this.subjects = subjects
  }

  /** Makes room for the numbers of one more. */
  ensure(): void {
    const needed = FINDING_WIDTH * (this.length + 1)
    if (needed <= this.numbers.length) return
    const longer = new Float64Array(2 * needed)
    longer.set(this.numbers)
    this.numbers = longer
  }

  push({ onsetMs, change, ...subject }: Finding): void {
    this.ensure()
    const { tail, sigma, observed, expected, direction, onset } = change
    const numbers = [tail, sigma, observed, expected, direction === 'spike' ? 1 : 0, onset, onsetMs, 0]
    this.numbers.set(numbers, FINDING_WIDTH * this.length)
    this.subjects[this.length++] = subject
  }

  at(i: number): Finding {
    const at = FINDING_WIDTH * i
    const { key, metric, unit, entity, family, onEdge, caller, point, callee, copyOf, labels, absent } =
      this.subjects[i]
    const onsetMs = this.numbers[at + ONSET_MS]
    const change = changeAt(this.numbers, at)
    // A spread of the subject would cost four times the garbage.
    return {
      key,
      metric,
      unit,
      entity,
      family,
      onsetMs,
      change,
      onEdge,
      caller,
      point,
      callee,
      copyOf,
      labels,
      absent,
    }
  }

  /** The same numbers, told of other subjects. */
  about(subjects: Subject[]): Findings {
    const out = new Findings(subjects)
    out.length = this.length
    out.numbers = this.numbers
    return out
  }
}
