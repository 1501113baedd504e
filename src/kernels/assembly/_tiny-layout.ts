// Where everything of the kernel `tiny` lies in its memory, and its constants, which are those of the twin (detectors/slot-kernel.ts).

// ---- places; the wrapper asks for the first ones and knows the columns' order and widths
export const LOG_TABLE: usize = 4096 // 257 f64
export const ENVELOPES: usize = LOG_TABLE + 257 * 8 // 256 f64 by code
export const DECODED: usize = ENVELOPES + 256 * 8 // 256 f64 by code + 128
export const EXP2: usize = DECODED + 256 * 8 // 64 f64: 2^(k/64)
// Shapes in whole numbers, in a scale by the upper half of the largest code: see kernels/shape-numbers.ts.
export const SHAPE_SCALES: usize = 8
export const SHAPE_NUMBERS: usize = EXP2 + 64 * 8 // by scale, by code + 128: i16
export const SHAPE_FACTORS: usize = SHAPE_NUMBERS + SHAPE_SCALES * 256 * 2 // by lower half of a code, 2 × 16 u8; by scale by upper half, 2 × 16 u8, and 8 i16
export const SHAPE_ERROR: usize = SHAPE_FACTORS + 32 + SHAPE_SCALES * 48 // f64
// What is decoded of one row, and SECOND bytes on of another. Before PAST and CODES there is room for as much again, after them for a quarter.
export const PAST: usize = ((SHAPE_ERROR + 8 + 63) & ~63) + 128 // 65 i16
export const SUMS: usize = PAST + 192 // 52 u32
export const CODES: usize = PAST + 512 // 65 i8
export const SECOND: usize = 768
export const LEVELS_SEEN: usize = PAST + 2 * SECOND // 48 f64
export const SORTED: usize = LEVELS_SEEN + 48 * 8 // 28 u8
const BATCH: usize = 24576
export const BLOCK: usize = 1024
export const IN_ROW: usize = BATCH
export const IN_VALUE: usize = IN_ROW + 4 * BLOCK
export const IN_WEIGHT: usize = IN_VALUE + 8 * BLOCK
export const OUT_POINT: usize = IN_WEIGHT + 4 * BLOCK
export const OUT_INCIDENT: usize = OUT_POINT + 4 * BLOCK
export const OUT_YOUNG: usize = OUT_INCIDENT + 4 * BLOCK
export const OUT_EXPECTED: usize = OUT_YOUNG + 4 * BLOCK
export const OUT_LOWER: usize = OUT_EXPECTED + 8 * BLOCK
export const OUT_UPPER: usize = OUT_LOWER + 8 * BLOCK
const SCRATCH: usize = OUT_UPPER + 8 * BLOCK
export const SCRATCH_ROWS: usize = 65536
// What score worked out of a row, a column a field; they too begin SKEW bytes apart from where they would.
export const SKEW: usize = 192
export const S_ROW: usize = SCRATCH // u32, all ones when nothing was
export const S_OPENS: usize = S_ROW + 4 * SCRATCH_ROWS + SKEW // u8
export const S_CODE: usize = S_OPENS + SCRATCH_ROWS + SKEW // i8
export const S_VALUE: usize = S_CODE + SCRATCH_ROWS + SKEW
export const S_RESIDUAL: usize = S_VALUE + 8 * SCRATCH_ROWS + SKEW
export const S_CORRECTED: usize = S_RESIDUAL + 8 * SCRATCH_ROWS + SKEW
export const S_EXCESS: usize = S_CORRECTED + 8 * SCRATCH_ROWS + SKEW
export const S_SOFT: usize = S_EXCESS + 8 * SCRATCH_ROWS + SKEW
export const S_JOINT: usize = S_SOFT + 8 * SCRATCH_ROWS + SKEW
export const S_SHAPE: usize = S_JOINT + 8 * SCRATCH_ROWS + SKEW
export const S_RATIO: usize = S_SHAPE + 8 * SCRATCH_ROWS + SKEW
const SCRATCH_END: usize = S_RATIO + 8 * SCRATCH_ROWS + SKEW
export const NOTHING: u32 = 0xffffffff

export const ROWS: usize = 1 << 20
export const MASK: u32 = (1 << 20) - 1
export const SLOTS: usize = 48
export const BINS: usize = 16
export const RING: usize = 64
export const DAYS: usize = 28

export const N: usize = SCRATCH_END
export const FIRST_WINDOW: usize = N + 4 * ROWS + SKEW
export const LAST_AGE: usize = FIRST_WINDOW + 8 * ROWS + SKEW
export const LEVEL: usize = LAST_AGE + 4 * ROWS + SKEW
export const MEAN: usize = LEVEL + 8 * ROWS + SKEW
export const PREVIOUS: usize = MEAN + 8 * ROWS + SKEW
export const SHAPE_MEAN: usize = PREVIOUS + 8 * ROWS + SKEW
export const SHAPE_DEV: usize = SHAPE_MEAN + 8 * ROWS + SKEW
export const DEVIATION: usize = SHAPE_DEV + 4 * ROWS + SKEW
export const JUMP: usize = DEVIATION + 4 * ROWS + SKEW
export const MAGNITUDE: usize = JUMP + 4 * ROWS + SKEW
export const OFFSET: usize = MAGNITUDE + 4 * ROWS + SKEW
export const SCALE1: usize = OFFSET + 4 * ROWS + SKEW
export const SCALE2: usize = SCALE1 + 4 * ROWS + SKEW
export const SCALE3: usize = SCALE2 + 4 * ROWS + SKEW
export const SCALE4: usize = SCALE3 + 4 * ROWS + SKEW
export const SCALE5: usize = SCALE4 + 4 * ROWS + SKEW
export const SHORT_SQUARE: usize = SCALE5 + 4 * ROWS + SKEW
export const LONG_SQUARE: usize = SHORT_SQUARE + 4 * ROWS + SKEW
export const SHIFT: usize = LONG_SQUARE + 4 * ROWS + SKEW
export const CODE_BASE: usize = SHIFT + 4 * ROWS + SKEW
export const CODE_STEP: usize = CODE_BASE + 4 * ROWS + SKEW
export const VISIT_MAX: usize = CODE_STEP + 4 * ROWS + SKEW
export const VISIT_SUM: usize = VISIT_MAX + 4 * ROWS + SKEW
export const VISIT_COUNT: usize = VISIT_SUM + 4 * ROWS + SKEW
export const DAY_MAX: usize = VISIT_COUNT + 2 * ROWS + SKEW
export const USUAL_MAX: usize = DAY_MAX + 4 * ROWS + SKEW
export const POINT_USUAL: usize = USUAL_MAX + 4 * ROWS + SKEW
export const SHAPE_USUAL: usize = POINT_USUAL + 4 * ROWS + SKEW
export const SHAPE: usize = SHAPE_USUAL + 4 * ROWS + SKEW
export const DAY_MAXIMA: usize = SHAPE + 4 * ROWS + SKEW
export const LEVELS: usize = DAY_MAXIMA + DAYS * ROWS + SKEW
export const ENVELOPE: usize = LEVELS + SLOTS * ROWS + SKEW
export const POINT_TAIL: usize = ENVELOPE + SLOTS * ROWS + SKEW
export const SHAPE_TAIL: usize = POINT_TAIL + 2 * BINS * ROWS + SKEW
export const SHAPES: usize = SHAPE_TAIL + 2 * BINS * ROWS + SKEW
export const END: usize = SHAPES + RING * ROWS + SKEW

// ---- constants of the twin
export const LOUD_SCALES: f64 = 3
export const LOUD_SHIFT: f64 = 1.5
export const LOUD_SHAPE: f64 = 0.5
export const TAIL_STRIDE: u32 = 8
export const TAIL_OFTEN: u32 = 100
export const QUIET_STRIDE: u32 = 4
/** So many windows before the end of its first day a series gets ready to be heard of: see quietYoung of detectors/slot-profile.ts. */
export const READY_WINDOWS: u32 = TAIL_STRIDE + QUIET_STRIDE
export const NOISE_REACH: f64 = 3
export const SCALES_MAX: f64 = 1e6
export const VALUE_MAX: f64 = 1e24
export const EMPTY: i32 = -128
export const LEVEL_MAX: f64 = 127
export const ENVELOPE_GAIN: f64 = 46
export const ENVELOPE_KNEE: f64 = 0.25
export const CLIP_SCALES: f64 = 8
export const SETTLING: u32 = 20
export const SHORT_RATE: f64 = 2.0 / 15.0
export const LONG_RATE: f64 = 2.0 / 121.0
export const LONG_SHARE: f64 = 0.15
export const SHIFT_SHARE: f64 = 1.5
export const STRANGE_MAX: f64 = 1e3
export const Z_CLIP: f64 = 30
export const LOG_KNEE: f64 = 0.3
export const SHAPE_GAIN: f64 = 27.0 * 0.6931471805599453
export const SHAPE_WARM_UP: u32 = 69
export const TAIL_LOWEST: f64 = 0.25
export const USUAL_AT_FIRST: f64 = 1.5
/** Windows before the level's scale means anything: see plain-detector.ts. */
export const YOUNG_WINDOWS: u32 = 20
