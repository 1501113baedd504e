import type { Labels } from './series.ts'

export type Severity = 'warning' | 'minor' | 'major' | 'critical'
export type Direction = 'spike' | 'drop' | 'absent'

export interface DetectorShare {
  readonly id: string
  /** 0..1, all shares of an anomaly sum to 1. */
  readonly share: number
}

/** One series, strange over one interval. Opened, updated while it lasts, closed; never rewritten in the record. */
export interface Anomaly {
  /** Derived from series key and onset. */
  readonly id: string
  /** Row of the series table; −1 once the series is there no more, when its row may be another's. */
  readonly series: number
  readonly key: string
  readonly metric: string
  readonly labels: Labels
  readonly entity: string
  readonly tenant: string
  readonly status: 'open' | 'closed'
  /** Start of the first strange window, Unix ms. */
  readonly startMs: number
  /** End of the last strange window, Unix ms. */
  readonly endMs: number
  /** Window end at which it was opened, Unix ms. */
  readonly detectedMs: number
  /** At the strongest window, in the series' unit. */
  readonly observed: number
  readonly expected: number
  readonly lower: number
  readonly upper: number
  readonly direction: Direction
  /** Strongest so far, −log10 p. */
  readonly surprise: number
  readonly tailProbability: number
  /** 0..100. */
  readonly score: number
  readonly severity: Severity
  readonly imputed: boolean
  /** 0..1, by how much was learned of the series before; absent in those of earlier versions. */
  readonly confidence?: number
  readonly detectors: readonly DetectorShare[]
  readonly why: readonly string[]
}
