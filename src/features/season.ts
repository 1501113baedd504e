import type { Chunk } from '../core/columns.ts'
import { zScore } from './level.ts'

/** Slots of a season: half an hour each of a day. */
export const SEASON_SLOTS = 48

/** What a series usually is at this time of the season. */
export const SEASON_COLUMNS = {
  /** Mean of the slot over earlier seasons, in the series' unit. */
  mean: ['f32', SEASON_SLOTS],
  /** Earlier seasons that the slot has seen, up to 255. */
  visits: ['u8', SEASON_SLOTS],
  /** Mean absolute residual against the slot means, in the series' unit. */
  residual: 'f32',
  /** The visit that is going on: slot + 1 (0: none), sum and count of its windows. */
  slot: 'u8',
  sum: 'f64',
  count: 'u32',
} as const
export type SeasonChunk = Chunk<typeof SEASON_COLUMNS>

/** Weight of the newest visit to a slot: half of what is known is two seasons old. */
const VISIT_RATE = 0.3
/** Weight of one window in the residual: about a season of half-hour slots. */
const RESIDUAL_RATE = 0.02
/** A residual teaches as at most this many usual ones. */
const CLIP = 8

export function seasonSlot(timeMs: number, seasonMs: number): number {
  const phase = timeMs / seasonMs
  return Math.min(SEASON_SLOTS - 1, Math.floor((phase - Math.floor(phase)) * SEASON_SLOTS))
}

/** Standard score against the slot's earlier seasons, 0 in the first season. */
export function seasonZ(c: SeasonChunk, at: number, slot: number, x: number): number {
  const cell = at * SEASON_SLOTS + slot
  if (c.visits[cell] === 0 || c.residual[at] === 0) return 0
  return zScore(x - c.mean[cell], c.residual[at], c.mean[cell])
}

/** Adds a window to the visit of its slot; a visit is learned when it is over, so it never explains itself. */
export function learnSeason(c: SeasonChunk, at: number, slot: number, x: number): void {
  if (c.slot[at] !== slot + 1) {
    closeVisit(c, at)
    c.slot[at] = slot + 1
    c.sum[at] = 0
    c.count[at] = 0
  }
  c.sum[at] += x
  c.count[at]++
  const cell = at * SEASON_SLOTS + slot
  if (c.visits[cell] === 0) return
  const residual = c.residual[at]
  const miss = Math.abs(x - c.mean[cell])
  c.residual[at] =
    residual === 0 ? miss : residual + RESIDUAL_RATE * (Math.min(miss, CLIP * residual) - residual)
}

function closeVisit(c: SeasonChunk, at: number): void {
  if (c.slot[at] === 0 || c.count[at] === 0) return
  const cell = at * SEASON_SLOTS + c.slot[at] - 1
  const mean = c.sum[at] / c.count[at]
  if (c.visits[cell] === 0) c.mean[cell] = mean
  else c.mean[cell] += VISIT_RATE * (mean - c.mean[cell])
  if (c.visits[cell] < 255) c.visits[cell]++
}
