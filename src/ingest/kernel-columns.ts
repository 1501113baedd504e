import { BATCH_LENGTH, BATCH_ROWS, TAKEN } from '../kernels/assembly/_wire-layout.ts'
import { type ColumnsKernel, columnsKernel } from '../kernels/columns.ts'
import type { DecodeContext } from './context.ts'
import { Room } from './kernel-bodies.ts'
import type { WireMemory } from './wire-memory.ts'

/** Bytes that the kernel may read behind a column in its steps. */
const SLACK = 64
/** Doubles are put where eight bytes begin. */
const DOUBLE_BYTES = 8

/** Columns in a message: where identities, times and values begin, by the reader. */
export interface Columns {
  readonly identities: number
  readonly identityBytes: number
  /** Ordered: sample i is of series i. */
  readonly samples: number
  readonly baseMs: number
  /** All samples are at the base time; otherwise whole differences of times stand before the values. */
  readonly isOneTime: boolean
}

/** Takes one sample the plain way: index, time, value. */
export type TakePlainly = (index: number, timeMs: number, value: number) => void

/**
 * The usual columns read by the kernel, in the memory of the wire table: copied there once and walked. What the kernel leaves, such as a
 * series that is not known or is part of a histogram, is taken by the plain reader at its place among the others.
 */
export class KernelColumns {
  readonly memory: WireMemory
  readonly #kernel: ColumnsKernel
  readonly #input = new Room()
  readonly #times = new Room()

  /** Undefined where the kernel cannot run. */
  static over(memory: WireMemory): KernelColumns | undefined {
    const kernel = columnsKernel(memory.memory)
    return kernel && new KernelColumns(memory, kernel)
  }

  private constructor(memory: WireMemory, kernel: ColumnsKernel) {
    this.memory = memory
    this.#kernel = kernel
  }

  /** Takes all samples; where the columns end by the reader, or 0, and nothing is done, when they are not for the kernel. */
  read(c: DecodeContext, columns: Columns, plainly: TakePlainly): number {
    const { memory } = this
    const r = c.reader
    const { identities, samples, baseMs, isOneTime } = columns
    const length = r.end - identities
    if (!this.#input.fit(memory, length + SLACK)) return 0
    if (!isOneTime && !this.#times.fit(memory, samples * DOUBLE_BYTES)) return 0
    const ids = this.#input.address
    memory.u8.set(r.bytes.subarray(identities, r.end), ids)
    const times = isOneTime ? 0 : this.#times.address
    const after = ids + columns.identityBytes
    const values = isOneTime ? after : this.#kernel.times(after, ids + length, samples, baseMs, times)
    const end = values + samples * DOUBLE_BYTES
    if (values === 0 || end > ids + length) return 0
    const valuesAt = identities + values - ids
    memory.i32[TAKEN >> 2] = 0
    for (let i = 0; i < samples; ) {
      memory.i32[BATCH_LENGTH >> 2] = memory.batch.length
      i = this.#kernel.take(ids, values, times, baseMs, i, samples)
      memory.batch.length = memory.i32[BATCH_LENGTH >> 2]
      if (memory.batch.length === BATCH_ROWS) c.convert.flush()
      else if (i < samples) {
        const timeMs = isOneTime ? baseMs : memory.f64[(times >> 3) + i]
        plainly(i, timeMs, r.view.getFloat64(valuesAt + i * DOUBLE_BYTES, true))
        i++
      }
    }
    c.tally.samples += memory.i32[TAKEN >> 2]
    return identities + end - ids
  }
}
