import type { Anomaly } from './anomaly.ts'
import type { Disruption } from './disruption.ts'

interface Span {
  readonly startMs: number
  endMs: number
  disruption: string
}

/** Spans kept per series; the oldest go first. */
const SPANS_MAX = 1000

/** Which windows lie inside an anomaly, and of which disruption it is evidence. */
export class StrangeSpans {
  readonly #bySeries = new Map<string, Map<string, Span>>()
  readonly #byAnomaly = new Map<string, Span>()

  /** Anomalies may be told again as they grow. */
  anomaly({ id, key, startMs, endMs }: Anomaly): void {
    const known = this.#byAnomaly.get(id)
    if (known) {
      known.endMs = Math.max(known.endMs, endMs)
      return
    }
    const span = { startMs, endMs, disruption: '' }
    this.#byAnomaly.set(id, span)
    const own = this.#bySeries.get(key)
    if (!own) {
      this.#bySeries.set(key, new Map([[id, span]]))
      return
    }
    own.set(id, span)
    if (own.size <= SPANS_MAX) return
    const [oldest] = own.keys()
    own.delete(oldest)
    this.#byAnomaly.delete(oldest)
  }

  disruption({ id, status, evidence }: Disruption): void {
    for (const { id: anomaly } of evidence) {
      const span = this.#byAnomaly.get(anomaly)
      if (span) span.disruption = status === 'retracted' ? '' : id
    }
  }

  /** The disruption of the anomaly that a window of a series lies in, '' without one; undefined outside of anomalies. */
  at(key: string, windowEndMs: number): string | undefined {
    const own = this.#bySeries.get(key)
    if (!own) return undefined
    for (const { startMs, endMs, disruption } of own.values())
      if (windowEndMs > startMs && windowEndMs <= endMs) return disruption
    return undefined
  }

  /** Lets go of what ended before a moment: no row from then on is asked for. */
  forgetBefore(timeMs: number): void {
    for (const [key, own] of this.#bySeries) {
      for (const [id, { endMs }] of own) {
        if (endMs >= timeMs) continue
        own.delete(id)
        this.#byAnomaly.delete(id)
      }
      if (own.size === 0) this.#bySeries.delete(key)
    }
  }
}
