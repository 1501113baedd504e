import type { Severity } from '../core/anomaly.ts'

/** When a detector's evidence pages, as shipped. */
export interface AlertRule {
  readonly point: number
  readonly pointRefractoryMs: number
  readonly incident: number
  readonly incidentRefractoryMs: number
}

/** The alert of each row in time order: an onset pages once, then that kind keeps quiet for its refractory. */
export class Alerts {
  readonly #rule: AlertRule
  #pointMs = -Infinity
  #incidentMs = -Infinity

  constructor(rule: AlertRule) {
    this.#rule = rule
  }

  next(timeMs: number, point: number, incident: number): '0' | 'point' | 'incident' {
    const rule = this.#rule
    if (incident >= rule.incident && timeMs - this.#incidentMs >= rule.incidentRefractoryMs) {
      this.#incidentMs = timeMs
      this.#pointMs = timeMs
      return 'incident'
    }
    if (point >= rule.point && timeMs - this.#pointMs >= rule.pointRefractoryMs) {
      this.#pointMs = timeMs
      return 'point'
    }
    return '0'
  }
}

/** Severity of a public score: at 60 one window in a thousand is as strange, or evidence is well past its threshold. */
export function severityOf(score: number): Severity {
  if (score >= 80) return 'critical'
  if (score >= 60) return 'major'
  return score >= 40 ? 'minor' : 'warning'
}
