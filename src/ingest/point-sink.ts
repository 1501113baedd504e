import type { Births } from './births.ts'
import type { HistogramPoint } from './points.ts'
import type { WireTable } from './wire-table.ts'

/** A series as its sender describes it. Labels are checked and named as ours. */
export interface WireSpec {
  readonly tenant: string
  readonly metric: string
  readonly labels: Record<string, string>
  /** One of TYPE. */
  readonly type: number
  /** As declared, '' when not. */
  readonly unit: string
}

/**
 * Where the decoders put what they read: the `Converter` makes samples of it, the `Splitter` hands it on as it is. A
 * process without a fleet has only the first, so that its calls stay direct.
 */
export interface PointSink {
  /** The wire of an identity, or −1. */
  readonly table: WireTable
  /** Whether what it makes of gauges and counters is a SampleBatch: the kernel then does the same by itself. */
  readonly converts: boolean
  /** One sample on its way: time (Unix ms), value, start of the count (Unix ms, 0 when not said). */
  readonly io: Float64Array
  /** What makes wires and series of label bytes, where the sink has series. */
  readonly births: Births | undefined
  /** A new wire for an identity that `table.find` does not know; −1 when there is no room. */
  define(a: number, b: number, check: number, spec: WireSpec): number
  /** A wire over a limit, so that its next sample is refused without looking at its labels again. */
  defineRefused(a: number, b: number, check: number, reason: string): void
  reject(reason: string, detail: string): void
  /** Takes one scalar sample, cumulative since `startMs` when that is known; false when it was refused. */
  sample(wire: number, timeMs: number, value: number, startMs?: number): boolean
  /** The same with the numbers in `io`: handed over in memory, since a number argument may be boxed. */
  take(wire: number): boolean
  /** Hands on what the batch of the table's memory holds. */
  flush(): void
  /** Takes one increment since `startMs` (0 when not said: since the previous one). */
  increment(wire: number, startMs: number, timeMs: number, value: number): boolean
  /** Takes a whole histogram. */
  histogram(wire: number, point: HistogramPoint): boolean
  /** Remembers declared metadata of a family, which hold once they are settled. */
  declare(family: string, type: number, unit: string): void
  settle(): void
}
