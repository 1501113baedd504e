import type { Severity } from '../core/anomaly.ts'
import type { MetricKind } from '../core/metric-kind.ts'

/**
 * Surprise → the public score and severity: one meaning for every detector and series.
 * Every three orders of improbability halve the distance to 100: 3 → 53, 6 → 80, 9 → 93, 12 → 100.
 */
const HALVING = 3
const CEILING = 12
const FULL = 1 - 2 ** (-CEILING / HALVING)

const STEPS = 256
/** Public scores by steps of surprise. */
export const SCORES = Float64Array.from(
  { length: STEPS + 1 },
  (_, i) => (100 * (1 - 2 ** (((-i / STEPS) * CEILING) / HALVING))) / FULL,
)

/** 0..100, NaN without an opinion. */
export function publicScore(surprise: number): number {
  if (Number.isNaN(surprise)) return Number.NaN
  if (surprise >= CEILING) return 100
  const place = surprise <= 0 ? 0 : surprise * (STEPS / CEILING)
  const at = place | 0
  return SCORES[at] + (place - at) * (SCORES[Math.min(STEPS, at + 1)] - SCORES[at])
}

/** `publicScore` of rows from..to, written out: where it is not inlined, two numbers a row would be put on the heap. */
export function publicScores(surprise: Float32Array, out: Float32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const s = surprise[i]
    if (!(s < CEILING)) {
      out[i] = Number.isNaN(s) ? Number.NaN : 100
      continue
    }
    const place = s <= 0 ? 0 : s * (STEPS / CEILING)
    const at = place | 0
    out[i] = SCORES[at] + (place - at) * (SCORES[Math.min(STEPS, at + 1)] - SCORES[at])
  }
}

const ORDER: readonly Severity[] = ['warning', 'minor', 'major', 'critical']
/** Surprise at which each severity begins; warning begins where anomalies open. */
const MINOR = 4.5
const MAJOR = 6
const CRITICAL = 8

export function severityOf(surprise: number): Severity {
  return surprise >= CRITICAL
    ? 'critical'
    : surprise >= MAJOR
      ? 'major'
      : surprise >= MINOR
        ? 'minor'
        : 'warning'
}

/** Kinds that say how much work there is, not how well it is done: more of it is no harm by itself. */
const VOLUME_KINDS: ReadonlySet<MetricKind> = new Set(['traffic', 'network', 'io'])

/** Severity of an anomaly of a kind: volume that rises, or what moves in the good direction, only warns. */
export function kindSeverity(surprise: number, kind: MetricKind, up: boolean, isBad: boolean): Severity {
  if (!isBad || (up && VOLUME_KINDS.has(kind))) return 'warning'
  return severityOf(surprise)
}

export function isStronger(a: Severity, b: Severity): boolean {
  return ORDER.indexOf(a) > ORDER.indexOf(b)
}
