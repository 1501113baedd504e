import type { Disruption } from '../core/disruption.ts'

/** Open ones first, highest score first, then the one that began first; equal ones by id, so that all shards give one order. */
export function compareOnBoard(a: Disruption, b: Disruption): number {
  const closed = Number(a.status !== 'open') - Number(b.status !== 'open')
  if (closed !== 0) return closed
  if (a.score !== b.score) return b.score - a.score
  if (a.startedAt !== b.startedAt) return a.startedAt < b.startedAt ? -1 : 1
  return a.id < b.id ? -1 : Number(a.id > b.id)
}

/** After so long without news a shard is stale, ms: longer than a stage takes to move to another process. */
export const STALE_MS = 120_000
/** After so long it is no longer shown, ms: whoever ran the fleet an hour ago wants to know that nothing runs it now. */
export const GONE_MS = 3_600_000
