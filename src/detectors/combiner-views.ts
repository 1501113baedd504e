import type { Chunk, ColumnSpec } from '../core/columns.ts'
import { FULL } from './full-kernel.ts'
import { AT } from './slot-kernel.ts'
import { LONG_SHARE, SHIFT_SHARE } from './surprise.ts'

/**
 * What the learned combiner sees of a window: the views of a profile detector, each in units of its own usual size,
 * and how loud the last windows were. One list of names and one function make it, for the export that a model is
 * trained on and for the detector that runs it, so the two cannot differ.
 */
const SLOT_VIEWS = [
  ['slot_corrected', AT.corrected],
  ['slot_residual', AT.residualRatio],
  ['slot_excess', AT.excessRatio],
  ['slot_soft', AT.softRatio],
  ['slot_joint', AT.joint],
  ['slot_shift', AT.shiftRatio],
  ['slot_shape', AT.shapeRatio],
  ['slot_raw', AT.rawPoint],
  ['slot_point', AT.point],
  ['slot_envelope', AT.envelope],
  // Last of its list: made by lastingOf.
  ['slot_surprise', AT.surprise],
] as const

const RING_VIEWS = [
  ['ring_corrected', FULL.corrected],
  ['ring_residual', FULL.residualRatio],
  ['ring_excess', FULL.excessRatio],
  ['ring_shift', FULL.shiftRatio],
  ['both_joint', FULL.joint],
  ['both_raw', FULL.rawPoint],
  ['both_point', FULL.point],
  // Last of its list as well.
  ['both_surprise', FULL.surprise],
] as const

/**
 * Which side a residual lies on and how old a series is are left out on purpose: both told a model much about the
 * series it was trained on, and nothing that holds for others.
 */
const VALUE_VIEWS = ['size', 'off_level', 'jump', 'share'] as const

/** Stretches that the recent past is looked at over, windows. */
const STRETCHES = [3, 10, 60] as const
const RECENT_VIEWS = ['loudest_3', 'loudest_10', 'loudest_60', 'mean_3', 'mean_10', 'mean_60'] as const

/** Names of the columns, in the order of the tensor. */
export const COMBINER_VIEWS: readonly string[] = [
  ...SLOT_VIEWS.map(([name]) => name),
  ...RING_VIEWS.map(([name]) => name),
  ...VALUE_VIEWS,
  ...RECENT_VIEWS,
]
export const VIEWS_WIDTH = SLOT_VIEWS.length + RING_VIEWS.length + VALUE_VIEWS.length + RECENT_VIEWS.length

const RING_AT = SLOT_VIEWS.length
const VALUE_AT = RING_AT + RING_VIEWS.length
const RECENT_AT = VALUE_AT + VALUE_VIEWS.length

const SLOT_PLACES = Uint8Array.from(SLOT_VIEWS, ([, place]) => place)
const RING_PLACES = Uint8Array.from(RING_VIEWS, ([, place]) => place)

export const RECENT_COLUMNS = {
  previous: 'f64',
  /** Fading maxima and means of the point evidence over STRETCHES. */
  loudest: ['f32', STRETCHES.length],
  mean: ['f32', STRETCHES.length],
} as const satisfies ColumnSpec

export type RecentChunk = Chunk<typeof RECENT_COLUMNS>

/** From this point evidence, of the slots or of both, a window is worth the model's time. */
export const LOUD_POINT = 0.4
/**
 * What the views of surprise say: the shares that the long stretch and the level shift had when the model was trained.
 * The surprise itself may weigh them otherwise by now; a model that is trained anew may have other shares here.
 */
const VIEW_LONG_SHARE = 0.45
const VIEW_SHIFT_SHARE = 0.3

function lastingOf(surprise: number, longSquare: number, shift: number): number {
  const long = (VIEW_LONG_SHARE - LONG_SHARE) * Math.sqrt(longSquare)
  return surprise + long + (VIEW_SHIFT_SHARE - SHIFT_SHARE) * shift
}

/** A half-life of the stretch, for maxima; a rate of 2/(n+1), for means. */
const FADE = Float64Array.from(STRETCHES, n => 2 ** (-1 / n))
const RATE = Float64Array.from(STRETCHES, n => 2 / (n + 1))

const log1p = (value: number) => Math.log1p(Math.abs(value))

/**
 * Fills `out[o..o+VIEWS_WIDTH)` for value `x`: `s[so..]` are the phase slots' places (AT), `w[wo..]` the rings' (FULL)
 * or undefined for a profile without them, whose columns are NaN; so they are while rings are too young to speak.
 * Changes nothing else.
 */
export function fillViews(
  c: RecentChunk,
  i: number,
  x: number,
  s: Float64Array,
  so: number,
  w: Float64Array | undefined,
  wo: number,
  out: Float32Array,
  o: number,
): void {
  for (let k = 0; k < SLOT_PLACES.length; k++) out[o + k] = log1p(s[so + SLOT_PLACES[k]])
  out[o + RING_AT - 1] = log1p(lastingOf(s[so + AT.surprise], s[so + AT.longSquare], s[so + AT.shiftRatio]))
  if (w === undefined || Number.isNaN(w[wo + FULL.corrected])) out.fill(NaN, o + RING_AT, o + VALUE_AT)
  else {
    for (let k = 0; k < RING_PLACES.length; k++) out[o + RING_AT + k] = log1p(w[wo + RING_PLACES[k]])
    out[o + VALUE_AT - 1] = log1p(
      lastingOf(w[wo + FULL.surprise], w[wo + FULL.longSquare], w[wo + FULL.bothShift]),
    )
  }
  const floor = s[so + AT.floor]
  const r = s[so + AT.residual]
  const usual = x - r
  const v = o + VALUE_AT
  out[v] = log1p(r / floor)
  out[v + 1] = log1p(s[so + AT.offLevel] / floor)
  out[v + 2] = log1p((x - c.previous[i]) / floor)
  out[v + 3] = Math.abs(r) / (Math.abs(x) + Math.abs(usual) + floor)
  for (let k = 0; k < STRETCHES.length; k++) {
    out[o + RECENT_AT + k] = log1p(c.loudest[i * STRETCHES.length + k])
    out[o + RECENT_AT + STRETCHES.length + k] = log1p(c.mean[i * STRETCHES.length + k])
  }
}

/** Learns a window's value and point evidence (NaN before there is any). */
export function learnRecent(c: RecentChunk, i: number, x: number, point: number): void {
  c.previous[i] = x
  const said = Number.isNaN(point) ? 0 : point
  for (let k = 0; k < STRETCHES.length; k++) {
    const at = i * STRETCHES.length + k
    c.loudest[at] = Math.max(said, FADE[k] * c.loudest[at])
    c.mean[at] += RATE[k] * (said - c.mean[at])
  }
}
