import { type FeatureBatch, featureBatch, type OpinionBatch, opinionBatch } from '../core/batch.ts'

/**
 * Memory that a worker shares with the main thread: a ring of slots, each with a batch, its weights, and what is said of
 * it. A turn is a batch or a call; both sides count turns, modulo 2³², and wake each other when they do. Words and columns
 * are written before the count is.
 */
export interface ShardMemory {
  readonly shared: SharedArrayBuffer
  /** Rung by every worker when it has done anything: the main thread waits for all of them at one place. */
  readonly bell: SharedArrayBuffer
  /** Rows that a slot has room for. */
  readonly rows: number
}

/** Turns on their way at once; a power of two. */
export const SLOTS = 4

/** Places of counts: turns asked for, judged, and done. */
export const ASKED = 0
export const JUDGED = 1
export const DONE = 2
/** 1: the worker has ended. */
export const GONE = 3
/** Pieces of a cut that were asked for and sent, modulo 2³². */
export const WANTED = 4
export const SENT = 5
/** 1: nothing more of the cut is wanted. */
export const UNWANTED = 6
const HEAD = 8
/** Words of a slot: what the turn is, its rows, and which messages belong to it. */
const WORDS = 4
export const KIND = 0
export const LENGTH = 1
/** 1: a message of the main thread comes first. */
export const TOLD = 2
/** 1: a message of the worker goes with it. */
export const SAID = 3

export const BATCH = 1
export const CALL = 2

/** Bytes of a row in a slot: series, window end, observed, coverage, weight; then what is said of it. */
const ROW_BYTES = 4 + 8 + 8 + 4 + 4 + (4 * 4 + 3 * 8 + 4 + 2)
const CONTROL_BYTES = 4 * (HEAD + WORDS * SLOTS)

export interface Slot {
  readonly batch: FeatureBatch
  readonly weight: Float32Array
  readonly opinions: OpinionBatch
}

/** `rows` is rounded up to a multiple of eight. */
export function shardMemory(rows: number, bell: SharedArrayBuffer): ShardMemory {
  const capacity = Math.ceil(rows / 8) * 8
  return {
    shared: new SharedArrayBuffer(align(CONTROL_BYTES) + SLOTS * capacity * ROW_BYTES),
    bell,
    rows: capacity,
  }
}

export interface OpenMemory {
  readonly control: Int32Array
  readonly bell: Int32Array
  readonly slots: readonly Slot[]
}

export function openMemory({ shared, bell, rows }: ShardMemory): OpenMemory {
  const slots = Array.from({ length: SLOTS }, (_, at) =>
    slotAt(shared, align(CONTROL_BYTES) + at * rows * ROW_BYTES, rows),
  )
  return { control: new Int32Array(shared, 0, HEAD + WORDS * SLOTS), bell: new Int32Array(bell), slots }
}

/** Where a word of a turn's slot lies among the control words. */
export function wordOf(turn: number, word: number): number {
  return HEAD + WORDS * (turn & (SLOTS - 1)) + word
}

function align(bytes: number): number {
  return Math.ceil(bytes / 8) * 8
}

function slotAt(shared: SharedArrayBuffer, from: number, rows: number): Slot {
  let at = from
  const column = <A>(
    make: new (shared: SharedArrayBuffer, from: number, length: number) => A,
    bytes: number,
  ): A => {
    const made = new make(shared, at, rows)
    at += bytes * rows
    return made
  }
  const f64 = () => column(Float64Array, 8)
  const f32 = () => column(Float32Array, 4)
  // Wide columns come first, so that all of them are aligned.
  const batch: FeatureBatch = {
    ...featureBatch(0, 0),
    capacity: rows,
    windowEndMs: f64(),
    observed: f64(),
    series: column(Uint32Array, 4),
    coverage: f32(),
  }
  const weight = f32()
  // A multiple of eight rows keeps what follows aligned.
  const opinions: OpinionBatch = {
    ...opinionBatch(0),
    capacity: rows,
    expected: f64(),
    lower: f64(),
    upper: f64(),
    surprise: f32(),
    point: f32(),
    incident: f32(),
    score: f32(),
    evidence: f32(),
    direction: column(Int8Array, 1),
    strongest: column(Uint8Array, 1),
  }
  return { batch, weight, opinions }
}
