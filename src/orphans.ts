import type { Anomaly } from './core/anomaly.ts'
import type { Disruption, DisruptionEvent } from './core/disruption.ts'
import type { Page } from './core/ports.ts'
import type { AnomalyChange } from './core/stages.ts'

/** Asked for at once, and most of a kind that are told as ended at one start: half of what may wait for the record. */
const PAGE = 1000
const ORPHANS_MAX = 50_000

/** What is open in an index, the latest first. */
export async function allOpen<T>(
  ask: (query: { status: 'open'; limit: number; cursor?: string }) => Promise<Page<T>>,
): Promise<T[]> {
  const found: T[] = []
  let page = await ask({ status: 'open', limit: PAGE })
  for (;;) {
    for (const one of page.items) found.push(one)
    if (page.next === null || found.length >= ORPHANS_MAX) return found
    page = await ask({ status: 'open', limit: PAGE, cursor: page.next })
  }
}

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
