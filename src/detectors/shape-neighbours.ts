import type { Chunk, ColumnSpec } from '../core/columns.ts'
import type { Kernel } from './kernel-detector.ts'
import { COMPACT_PROFILE, SHINGLE, type SlotProfile } from './slot-profile.ts'
import { pushShape, shapeCode, thirdNearest } from './slot-shapes.ts'

/**
 * Shape neighbours: how far the last eight values are from the third nearest eight of the last thousand windows, a left
 * discord as in the left matrix profile (Yeh et al. 2016, "Matrix profile I", ICDM). The
 * third nearest, because the same trouble twice would be its own excuse. Made of slot-shapes.ts; values are normalised by the mean of all time, not per shingle, so that a level counts as part of a shape.
 */
const LAST_LAG = 1000
const PROFILE: SlotProfile = { ...COMPACT_PROFILE, lastLag: LAST_LAG, linearCodes: true }
/** Distances below this, in mean deviations of the series, are noise. */
const FLOOR = 0.05
const WARM_UP = 100

const COLUMNS = {
  values: 'u32',
  mean: 'f64',
  spread: 'f32',
  ring: ['i16', LAST_LAG + SHINGLE],
} as const satisfies ColumnSpec
type State = Chunk<typeof COLUMNS>

/** Value, its code, and the distance found. */
const scratch = new Float64Array(3)

/** Leaves the code of `x` at scratch[1]. */
function encode(s: State, x: number): void {
  scratch[0] = x
  shapeCode(PROFILE, s.mean, s.spread, 0, scratch, 0, 1)
}

export const SHAPE_NEIGHBOURS: Kernel<typeof COLUMNS> = {
  id: 'shapes@1',
  version: 1,
  warmUp: WARM_UP,
  columns: COLUMNS,
  floor: FLOOR,
  start(s, _, x) {
    s.mean[0] = x
  },
  strangeness(s, x) {
    encode(s, x)
    thirdNearest(PROFILE, s.ring, 0, s.values[0], scratch, 1, 2)
    return scratch[2]
  },
  learn(s, x) {
    const n = s.values[0]
    encode(s, x)
    pushShape(PROFILE, s.ring, 0, n, scratch[1])
    s.spread[0] += (Math.abs(x - s.mean[0]) - s.spread[0]) / (n + 1)
    s.mean[0] += (x - s.mean[0]) / (n + 1)
    s.values[0] = n + 1
  },
}
