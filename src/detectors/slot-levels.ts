import { roundStochastic, roundStochasticAt } from '../math/hash-rounding.ts'
import type { SlotChunk, SlotProfile } from './slot-profile.ts'

/**
 * What a row knows of its phase slots: for each the level as a code around the row's base and step, and a code of its
 * envelope; of the slot that is being visited, what the visit has seen so far.
 */

/** Code of a phase slot never visited: one below the smallest level code. */
export const emptyCode = (profile: SlotProfile) => -profile.levelMax - 1

const ENVELOPE_GAIN = 46
const ENVELOPE_KNEE = 0.25
/** Envelopes by their codes. */
export const ENVELOPES = new Float64Array(256)
for (let code = 0; code < 256; code++) ENVELOPES[code] = ENVELOPE_KNEE * (Math.exp(code / ENVELOPE_GAIN) - 1)

/**
 * `[0]`, `[1]`: level and envelope that `visited` works out; `[2]`: what is being rounded. A number that is returned is put on
 * the heap, and so is every other number that may stand in its place.
 */
export const VISIT = new Float64Array(3)

/** What the open visit makes of its slot's level and envelope, before any rounding, into VISIT. */
export function visited(c: SlotChunk, i: number, profile: SlotProfile, slot: number, day: number): void {
  const at = i * profile.slots + slot
  const mean = c.visitSum[i] / c.visitCount[i]
  const code = c.levels[at]
  if (code === emptyCode(profile)) {
    VISIT[0] = mean
    VISIT[1] = c.visitMax[i]
    return
  }
  const days = Math.floor(c.lastAge[i] / day)
  VISIT[0] = c.codeBase[i] + code * c.codeStep[i] + Math.max(1 / (days + 1), 1 / 7) * mean
  const known = ENVELOPES[c.envelopes[at]]
  const change = Math.min(c.visitMax[i] - known, 4)
  if (change > 0) VISIT[1] = known + change * (days < 4 ? 0.5 : 0.3)
  else VISIT[1] = known + change * (days < 4 ? 0.25 : 0.1)
}

export function levelOf(c: SlotChunk, i: number, at: number): number {
  return c.codeBase[i] + c.levels[at] * c.codeStep[i]
}

/** Ends the visit of a slot: its level and envelope take what the visit saw. */
export function closeVisit(c: SlotChunk, i: number, profile: SlotProfile, slot: number, day: number): void {
  if (c.visitCount[i] === 0) return
  visited(c, i, profile, slot, day)
  VISIT[2] = Math.min(255, ENVELOPE_GAIN * Math.log(1 + Math.max(0, VISIT[1]) / ENVELOPE_KNEE))
  c.envelopes[i * profile.slots + slot] = Math.min(255, roundStochasticAt(VISIT, 2, c.n[i]))
  storeLevel(c, i, profile, slot)
  c.visitMax[i] = 0
  c.visitSum[i] = 0
  c.visitCount[i] = 0
}

/** At the end of a day the code step shrinks again when the levels use less than .4 of the codes. */
export function tightenLevels(c: SlotChunk, i: number, profile: SlotProfile): void {
  const rowAt = i * profile.slots
  const empty = emptyCode(profile)
  let low = profile.levelMax
  let high = -profile.levelMax
  let last = -1
  for (let s = 0; s < profile.slots; s++) {
    const code = c.levels[rowAt + s]
    if (code === empty) continue
    last = s
    if (code < low) low = code
    if (code > high) high = code
  }
  if (last >= 0 && high - low < 0.8 * profile.levelMax) {
    VISIT[0] = levelOf(c, i, rowAt + last)
    recode(c, i, profile, last)
  }
}

const levelScratch = new Float64Array(128)

/** Writes a slot's level, VISIT[0], as a code; re-encodes the whole row around a new base and step when it does not fit. */
function storeLevel(c: SlotChunk, i: number, profile: SlotProfile, slot: number): void {
  const at = i * profile.slots + slot
  if (c.codeStep[i] > 0) {
    VISIT[2] = (VISIT[0] - c.codeBase[i]) / c.codeStep[i]
    const code = roundStochasticAt(VISIT, 2, c.n[i])
    if (Math.abs(code) <= profile.levelMax) {
      c.levels[at] = code
      return
    }
  }
  recode(c, i, profile, slot)
}

/** Gives the row's levels, VISIT[0] of `slot` among them, a base and a step that leave room on both sides. */
function recode(c: SlotChunk, i: number, profile: SlotProfile, slot: number): void {
  const level = VISIT[0]
  const rowAt = i * profile.slots
  const empty = emptyCode(profile)
  let low = level
  let high = level
  for (let s = 0; s < profile.slots; s++) {
    if (c.levels[rowAt + s] === empty || s === slot) continue
    const value = c.codeBase[i] + c.levels[rowAt + s] * c.codeStep[i]
    levelScratch[s] = value
    if (value < low) low = value
    if (value > high) high = value
  }
  levelScratch[slot] = level
  frameLevels(c, i, profile, low, high)
  for (let s = 0; s < profile.slots; s++) {
    if (c.levels[rowAt + s] === empty && s !== slot) continue
    VISIT[2] = (levelScratch[s] - c.codeBase[i]) / c.codeStep[i]
    const code = roundStochasticAt(VISIT, 2, c.n[i] + s)
    c.levels[rowAt + s] = Math.max(-profile.levelMax, Math.min(profile.levelMax, code))
  }
}

/** Gives a row all its levels (NaN is an empty slot) and the codes of its envelopes at once. */
export function writeLevels(
  c: SlotChunk,
  i: number,
  profile: SlotProfile,
  levels: Float64Array,
  envelopes: Uint8Array,
  slots: number,
): void {
  const rowAt = i * profile.slots
  c.levels.fill(emptyCode(profile), rowAt, rowAt + profile.slots)
  let low = Infinity
  let high = -Infinity
  for (let s = 0; s < slots; s++) {
    c.envelopes[rowAt + s] = envelopes[s]
    if (levels[s] < low) low = levels[s]
    if (levels[s] > high) high = levels[s]
  }
  if (low > high) return
  frameLevels(c, i, profile, low, high)
  for (let s = 0; s < slots; s++) {
    if (Number.isNaN(levels[s])) continue
    const code = roundStochastic((levels[s] - c.codeBase[i]) / c.codeStep[i], c.n[i] + s)
    c.levels[rowAt + s] = Math.max(-profile.levelMax, Math.min(profile.levelMax, code))
  }
}

/** Base and step of codes for levels from `low` to `high`, with room on both sides. */
function frameLevels(c: SlotChunk, i: number, profile: SlotProfile, low: number, high: number): void {
  const floor = 0.05 * c.jump[i] + 0.05 * c.deviation[i] + 1e-6 * c.magnitude[i] + 1e-12
  c.codeBase[i] = low / 2 + high / 2
  c.codeStep[i] = Math.max(
    (0.625 * (high - low)) / profile.levelMax,
    (2 * floor) / profile.levelMax,
    (4e-7 * Math.max(Math.abs(low), Math.abs(high))) / profile.levelMax,
    1e-30,
  )
}
