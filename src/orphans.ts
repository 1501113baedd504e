import type { Anomaly } from './core/anomaly.ts'
import type { Disruption, DisruptionEvent } from './core/disruption.ts'
import type { AnomalyChange } from './core/stages.ts'

/**
 * Disruptions that are open in the record but unknown to what was restored, as after a lost or outdated checkpoint: told
 * as retracted, so that no consumer waits for an end that nobody will tell.
 */
export function orphans(
  open: readonly Disruption[],
  board: readonly Disruption[],
  nowMs: number,
): DisruptionEvent[] {
  const known = new Set(board.map(one => one.id))
  const now = new Date(nowMs).toISOString()
  return open
    .filter(one => !known.has(one.id))
    .map(one => {
      const revision = one.revision + 1
      const why = [
        'Foreshock started without the state that this rested on; what is strange now is told anew',
      ]
      const disruption: Disruption = {
        ...one,
        revision,
        supersedes: one.revision,
        status: 'retracted',
        updatedAt: now,
        resolvedAt: now,
        why,
      }
      // Nobody was told of what a maintenance window kept back.
      const held = one.maintenance === undefined ? {} : { held: true as const }
      return { id: `${one.id}.${revision}`, type: 'retracted', timeMs: nowMs, disruption, ...held }
    })
}

/** Anomalies that are open in the record but unknown to what was restored: told as closed. */
export function ended(open: readonly Anomaly[], known: readonly Anomaly[]): AnomalyChange[] {
  const ids = new Set(known.map(one => one.id))
  return open
    .filter(one => !ids.has(one.id))
    .map(one => ({ event: 'closed', anomaly: { ...one, status: 'closed' } }))
}
