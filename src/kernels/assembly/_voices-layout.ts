// Where everything of the kernel `voices` lies in its memory, and its constants, which are those of the twin (detectors/plain-voices.ts).

// ---- places; the wrapper asks for the first ones and knows the columns' order and widths
export const CLASSES: usize = 256
export const BINS: usize = 256
export const VOICES: usize = 3
export const LOG_TABLE: usize = 4096 // 257 f64
export const POWER: usize = LOG_TABLE + 257 * 8 // 129 f64: 10^-d by steps of d
export const PAIR: usize = POWER + 129 * 8 // 129 f64: two voices by distance
export const LOG_SUM: usize = PAIR + 129 * 8 // 258 f64
export const LOG_COUNT: usize = LOG_SUM + 258 * 8 // 4 f64
export const SCORES: usize = LOG_COUNT + 4 * 8 // 257 f64, and one more that is not read as said
export const BAD: usize = SCORES + 258 * 8 // 256 f64 by class: 1 up, -1 down, 0 both
export const TABLES_END: usize = BAD + 256 * 8

export const BLOCK: usize = 1024
export const VALUE: usize = 16384
export const EXPECTED: usize = VALUE + 8 * BLOCK
export const WEIGHT: usize = EXPECTED + 8 * BLOCK
export const FIRST: usize = WEIGHT + 4 * BLOCK
export const SECOND: usize = FIRST + 4 * BLOCK
export const THIRD: usize = SECOND + 4 * BLOCK
export const OUT_SURPRISE: usize = THIRD + 4 * BLOCK
export const OUT_POINT: usize = OUT_SURPRISE + 4 * BLOCK
export const OUT_INCIDENT: usize = OUT_POINT + 4 * BLOCK
export const OUT_PUBLIC: usize = OUT_INCIDENT + 4 * BLOCK
export const OUT_EVIDENCE: usize = OUT_PUBLIC + 4 * BLOCK
export const OUT_DIRECTION: usize = OUT_EVIDENCE + 4 * BLOCK
export const KIND: usize = OUT_DIRECTION + BLOCK

// A row of the scratch: class, and the voices' bins; which of them spoke.
export const SCRATCH: usize = KIND + BLOCK
export const SCRATCH_ROWS: usize = 65536
export const SCRATCH_BYTES: usize = 8
export const S_KIND: usize = 3
export const S_SPOKE: usize = 4

// A pool: f64 numbers, then the surprise at each bin's edge.
export const POOLS: usize = SCRATCH + SCRATCH_ROWS * SCRATCH_BYTES
export const P_THRESHOLD: usize = 0
export const P_SURPRISE: usize = 8
export const P_SCALE: usize = 16
export const P_SHAPE: usize = 24
export const P_SPEAKS: usize = 32
export const P_USUAL: usize = 40
export const P_EDGES: usize = 64
export const POOL_BYTES: usize = 64 + 258 * 8
export const VOICE_BYTES: usize = POOL_BYTES * CLASSES
export const FRESH: usize = POOLS + VOICES * VOICE_BYTES
export const FRESH_BYTES: usize = 4 * BINS
export const END: usize = FRESH + VOICES * CLASSES * FRESH_BYTES

// ---- constants of the twin: see plain-voices.ts, pooled-calibration.ts, fusion.ts, severity.ts, math/tail-fit.ts
export const PER_UNIT: f64 = 32
export const LOWEST: f64 = -1
export const LEAST_COUNTED: f64 = 0.5
export const SURPRISE_MAX: f64 = 12
export const EVIDENCE_MAX: f64 = 8
export const GOOD_SHARE: f64 = 0.25
export const REACH: f64 = 128
export const SUM_STEPS: f64 = 64
export const CEILING: f64 = 12
export const SCORE_STEPS: f64 = 256.0 / 12.0
export const LOG10_E: f64 = 0.4342944819032518
export const LOG10_2: f64 = 0.3010299956639812
export const END_SHARE: f64 = 0.9
export const LEAST: f64 = 1 - END_SHARE
export const STRANGE_WEIGHT: f64 = 0.2
export const STRANGE_UNITS: f64 = 20
export const UNITS: u32 = 8
