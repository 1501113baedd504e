/** When anomalies open and close. Surprises are −log10 of a tail probability. */
export interface EnsembleOptions {
  /** Point or incident surprise at which a window is hot. */
  readonly openAt: number
  /** Surprise below which a window is calm; between the two nothing changes. */
  readonly closeAt: number
  /** Hot windows needed to open … */
  readonly openCount: number
  /** … among this many, at most 8. */
  readonly openWithin: number
  /** Calm windows in a row that close. */
  readonly closeAfter: number
  /** Windows after a close during which the series does not open again. */
  readonly refractory: number
  /** How much a window of an open anomaly may teach, 0..1. */
  readonly anomalousWeight: number
}

/**
 * Why: 10^-3.3 twice in three windows is rarer than one in 10^5 for independent noise, and a clear fault reaches it
 * in two windows; five calm windows bridge the dips of a noisy fault; six windows of refractory stop flapping.
 */
export const ENSEMBLE_DEFAULTS: EnsembleOptions = {
  openAt: 3.3,
  closeAt: 1.8,
  openCount: 2,
  openWithin: 3,
  closeAfter: 5,
  refractory: 6,
  anomalousWeight: 0.1,
}
