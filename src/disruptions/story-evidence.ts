import type { Anomaly } from '../core/anomaly.ts'
import type { Story } from './story.ts'

/** Most anomalies kept per story; the weakest goes first. */
const MOST_EVIDENCE = 200

/**
 * The weakest of what a story with as much evidence as it may have keeps, by its record of evidence: of the thousands of
 * anomalies of a large failure nearly all are weaker still, and are turned away without a look at the others.
 */
const weakestOf = new WeakMap<Story['evidence'], Anomaly>()

/** Keeps an anomaly, or its newer state. Returns how many were dropped for it. */
export function keepEvidence(story: Story, anomaly: Anomaly): number {
  const { evidence } = story
  const known = evidence[anomaly.id]
  if (known === anomaly) return 0
  const weakest = weakestOf.get(evidence)
  if (weakest && !known && isWeaker(anomaly, weakest)) return 1
  evidence[anomaly.id] = anomaly
  const all = Object.values(evidence)
  if (all.length < MOST_EVIDENCE) return 0
  if (all.length === MOST_EVIDENCE) {
    weakestOf.set(evidence, weakestAmong(all))
    return 0
  }
  const gone = weakestAmong(all)
  delete evidence[gone.id]
  weakestOf.set(evidence, weakestAmong(Object.values(evidence)))
  return 1
}

/** Takes an anomaly away from a story. */
export function dropEvidence(story: Story, id: string): void {
  delete story.evidence[id]
  weakestOf.delete(story.evidence)
}

function weakestAmong(all: readonly Anomaly[]): Anomaly {
  let weakest = all[0]
  for (const other of all) if (isWeaker(other, weakest)) weakest = other
  return weakest
}

function isWeaker(a: Anomaly, b: Anomaly): boolean {
  return a.surprise < b.surprise || (a.surprise === b.surprise && a.id < b.id)
}
