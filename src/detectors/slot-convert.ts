import { emptyCode, levelOf, writeLevels } from './slot-levels.ts'
import { type SlotChunk, type SlotProfile, type SlotRates, shapeRing } from './slot-profile.ts'
import { decodeShape, encodeShape, farCode } from './slot-shapes.ts'

/**
 * What one profile of the phase-slot detector has learned of a series, in the layout of another: nothing that both can
 * hold is lost, so the next window's opinion continues the last one's. Coarser slots take the mean level and the
 * largest envelope of the finer ones, finer slots what the coarser ones say of their place; tail bins are split or
 * merged where their edges are the same; recent shapes are decoded and coded again, as many as both rings hold.
 */

/** Fields that mean the same in every profile. */
const SHARED = [
  'n', 'firstWindow', 'lastAge', 'level', 'mean', 'previous', 'shapeMean', 'shapeDev', 'deviation', 'jump',
  'magnitude', 'offset', 'scale1', 'scale2', 'scale3', 'scale4', 'scale5', 'shortSquare', 'longSquare', 'shift',
  'visitMax', 'visitSum', 'visitCount', 'dayMax', 'usualMax', 'pointUsual', 'shapeUsual', 'shape',
] as const // biome-ignore format: a list of names reads better filled

/**
 * Distances to the third nearest of fewer shapes are larger: what is carried over counts as that many windows only, so
 * that the new ring's own distances soon decide what is usual.
 */
const SHAPE_COUNTS_KEPT = 256

export interface SlotRow {
  readonly chunk: SlotChunk
  readonly at: number
  readonly profile: SlotProfile
  readonly rates: SlotRates
}

const levels = new Float64Array(128)
const envelopes = new Uint8Array(128)

/** Fills the row `to`, which must be clear, from the row `from`. */
export function convertRow(from: SlotRow, to: SlotRow, stepMs: number): void {
  const { chunk: source, at: i } = from
  const { chunk: target, at: j } = to
  for (const name of SHARED) target[name][j] = source[name][i]
  copyWithin(source.dayMaxima, i, target.dayMaxima, j, source.dayMaxima.length / source.n.length)
  if (from.profile.slots === to.profile.slots && from.profile.levelMax === to.profile.levelMax) {
    copyLayout(source, i, target, j)
    return
  }
  convertSlots(from, to, stepMs)
  convertTail(source.pointTail, i, from.profile, target.pointTail, j, to.profile)
  convertTail(source.shapeTail, i, from.profile, target.shapeTail, j, to.profile)
  keepCounts(target.shapeTail, j * to.profile.bins, to.profile.bins)
  convertShapes(from, to)
}

function copyWithin(
  source: Uint8Array | Int8Array | Int16Array | Uint16Array,
  i: number,
  target: typeof source,
  j: number,
  width: number,
): void {
  for (let k = 0; k < width; k++) target[j * width + k] = source[i * width + k]
}

function copyLayout(source: SlotChunk, i: number, target: SlotChunk, j: number): void {
  target.codeBase[j] = source.codeBase[i]
  target.codeStep[j] = source.codeStep[i]
  for (const name of ['levels', 'envelopes', 'pointTail', 'shapeTail', 'shapes'] as const)
    copyWithin(source[name], i, target[name], j, source[name].length / source.n.length)
}

function convertSlots(from: SlotRow, to: SlotRow, stepMs: number): void {
  const { chunk: source, at: i } = from
  const { chunk: target, at: j } = to
  const known = from.rates.slots
  const wanted = to.rates.slots
  const isEmpty = (slot: number) => source.levels[i * from.profile.slots + slot] === emptyCode(from.profile)
  for (let slot = 0; slot < wanted; slot++) {
    if (known <= wanted) finer(from, slot, isEmpty, to)
    else coarser(from, slot, isEmpty, to)
  }
  // The visit that is going on adds values to an empty slot, differences from its level to another.
  const phase = lastPhase(source, i, from.rates.day, stepMs)
  const was = Math.floor(phase / from.rates.width)
  const is = Math.floor(phase / to.rates.width)
  const count = source.visitCount[i]
  if (isEmpty(was) && !Number.isNaN(levels[is])) target.visitSum[j] -= count * levels[is]
  else if (!isEmpty(was) && Number.isNaN(levels[is]))
    target.visitSum[j] += count * levelOf(source, i, i * from.profile.slots + was)
  writeLevels(target, j, to.profile, levels, envelopes, wanted)
}

/** Place in its day of the last window, in windows. */
function lastPhase(c: SlotChunk, i: number, day: number, stepMs: number): number {
  const perDay = 86_400_000 / stepMs
  const window = c.firstWindow[i] + c.lastAge[i]
  return Math.min(day - 1, Math.floor(window - Math.floor(window / perDay) * perDay))
}

/** Level and envelope of a slot that is a part of a larger one: between the middles of its neighbours. */
function finer(from: SlotRow, slot: number, isEmpty: (slot: number) => boolean, to: SlotRow): void {
  const { chunk, at, profile, rates } = from
  const own = Math.min(rates.slots - 1, Math.floor(((slot + 0.5) * rates.slots) / to.rates.slots))
  levels[slot] = NaN
  envelopes[slot] = 0
  if (isEmpty(own)) return
  const rowAt = at * profile.slots
  const u = ((slot + 0.5) * rates.slots) / to.rates.slots - 0.5
  const below = Math.floor(u)
  const a = (below + rates.slots) % rates.slots
  const b = (a + 1) % rates.slots
  const f = u - below
  levels[slot] =
    isEmpty(a) || isEmpty(b)
      ? levelOf(chunk, at, rowAt + own)
      : (1 - f) * levelOf(chunk, at, rowAt + a) + f * levelOf(chunk, at, rowAt + b)
  envelopes[slot] = chunk.envelopes[rowAt + own]
}

/** Level and envelope of a slot that holds several smaller ones. */
function coarser(from: SlotRow, slot: number, isEmpty: (slot: number) => boolean, to: SlotRow): void {
  const { chunk, at, profile, rates } = from
  const first = Math.floor((slot * rates.slots) / to.rates.slots)
  const end = Math.max(first + 1, Math.floor(((slot + 1) * rates.slots) / to.rates.slots))
  let sum = 0
  let count = 0
  envelopes[slot] = 0
  for (let s = first; s < end; s++) {
    if (isEmpty(s)) continue
    sum += levelOf(chunk, at, at * profile.slots + s)
    count++
    envelopes[slot] = Math.max(envelopes[slot], chunk.envelopes[at * profile.slots + s])
  }
  levels[slot] = count === 0 ? NaN : sum / count
}

/** Bins of one resolution into bins of another; the finer is a whole multiple, and both start at the same value. */
function convertTail(
  source: Uint16Array,
  i: number,
  from: SlotProfile,
  target: Uint16Array,
  j: number,
  to: SlotProfile,
): void {
  const counts = new Float64Array(to.bins)
  for (let b = 0; b < from.bins; b++) {
    const count = source[i * from.bins + b]
    if (b === 0 || count === 0) {
      counts[b === 0 ? 0 : 1] += b === 0 ? count : 0
      continue
    }
    const low = ((b - 1) * to.binsPerOctave) / from.binsPerOctave
    const parts = Math.max(1, to.binsPerOctave / from.binsPerOctave)
    for (let part = 0, left = count; part < parts; part++) {
      const share = Math.ceil(left / (parts - part))
      counts[Math.min(to.bins - 1, 1 + Math.floor(low) + part)] += share
      left -= share
    }
  }
  let largest = 0
  for (const count of counts) if (count > largest) largest = count
  const scale = largest > 65_535 ? 0.5 : 1
  for (let b = 0; b < to.bins; b++) target[j * to.bins + b] = Math.min(65_535, Math.round(scale * counts[b]))
}

/** Scales the counts of a tail down to SHAPE_COUNTS_KEPT; what was seen at all stays seen. */
function keepCounts(tail: Uint16Array, at: number, bins: number): void {
  let total = 0
  for (let b = at; b < at + bins; b++) total += tail[b]
  if (total <= SHAPE_COUNTS_KEPT) return
  for (let b = at; b < at + bins; b++) tail[b] = Math.ceil((tail[b] * SHAPE_COUNTS_KEPT) / total)
}

function convertShapes(from: SlotRow, to: SlotRow): void {
  const [known, size] = [shapeRing(from.profile), shapeRing(to.profile)]
  const n = from.chunk.n[from.at]
  const [read, write] = [from.at * known, to.at * size]
  for (let back = 1; back <= Math.min(n, size); back++) {
    const sample = n - back
    // What the smaller ring did not hold is far from everything until it has passed.
    to.chunk.shapes[write + (sample % size)] =
      back <= known
        ? encodeShape(to.profile, decodeShape(from.profile, from.chunk.shapes[read + (sample % known)]))
        : farCode(to.profile, back)
  }
}
