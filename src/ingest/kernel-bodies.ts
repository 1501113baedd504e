import {
  AT,
  BATCH_LENGTH,
  FRAME,
  FRAME_BAD,
  FRAME_FIRST_SYMBOL,
  FRAME_METADATA,
  IO_TIME_MS,
  IO_VALUE,
  LABELS_END,
  NEW_ID,
  SAMPLE_WIRE,
  SEED,
  SEED_CHECK,
  SERIES_AT,
  SERIES_END,
  SYMBOL_HASHES,
  SYMBOLS,
  TAKEN,
  WALK_END,
  WALK_FULL,
  WALK_NEW,
  WALK_SAMPLE,
  WIRE,
} from '../kernels/assembly/_wire-layout.ts'
import { pagesOf } from '../kernels/load.ts'
import { type RemoteWriteKernel, remoteWriteKernel } from '../kernels/remote-write.ts'
import { snappyLength } from '../math/snappy.ts'
import type { DecodeContext } from './context.ts'
import { type Inflated, snappyClaim } from './inflate.ts'
import { readMetadata1, readSeries1 } from './remote-write-1.ts'
import { type RemoteWrite2, SYMBOLS_MAX, symbolsFailure } from './remote-write-2.ts'
import { WireLabels } from './wire-labels.ts'
import type { WireMemory } from './wire-memory.ts'

/** Bytes behind a body that the kernel may read or write in its steps. */
const SLACK = 64
/** Tag of the symbols of a 2.0 body; 1.0 has none. */
const SYMBOL_TAG = 0x22
/** Bytes of a symbol's hash. */
const HASH_BYTES = 12

/** At least so many times as many pages when there are too few: smaller runs are no use to larger ones, so what is given back adds up. */
const GROWTH = 1.5

/** A run of pages that grows to the largest body: what it was before is given back. */
export class Room {
  address = 0
  #pages = 0

  /** False when there is no room. */
  fit(memory: WireMemory, bytes: number): boolean {
    const wanted = pagesOf(bytes)
    if (wanted <= this.#pages) return true
    const pages = Math.max(wanted, Math.ceil(GROWTH * this.#pages))
    memory.give(this.address, this.#pages)
    this.#pages = 0
    this.address = memory.take(pages)
    if (this.address === 0) return false
    this.#pages = pages
    return true
  }
}

/**
 * Remote-write bodies read by the kernel, in the memory of the wire table: copied there once, inflated, walked. What the
 * kernel hands back (a series that is not known, histograms, exemplars, what is malformed, wires of another plan) is read
 * by the plain readers at its place among the others, from a copy of the inflated body that only such bodies have.
 */
export class KernelBodies {
  readonly memory: WireMemory
  readonly #kernel: RemoteWriteKernel
  readonly #input = new Room()
  readonly #output = new Room()
  readonly #hashes = new Room()
  #length = 0
  #symbols = 0
  /** Made with the first series that is not known. */
  #labels: WireLabels | undefined
  #copy = new Uint8Array(0)
  #copied = false

  /** Undefined where the kernel cannot run. */
  static over(memory: WireMemory): KernelBodies | undefined {
    const kernel = remoteWriteKernel(memory.memory)
    return kernel && new KernelBodies(memory, kernel)
  }

  private constructor(memory: WireMemory, kernel: RemoteWriteKernel) {
    this.memory = memory
    this.#kernel = kernel
  }

  /** Inflates a body of snappy, at most `limit` bytes, or takes a plain one. */
  open(encoding: 'snappy' | 'identity', bytes: Uint8Array, limit: number): Inflated['failure'] | 'no-room' {
    this.#copied = false
    if (encoding === 'identity') return bytes.length > limit ? 'too-large' : this.#whole(bytes)
    const length = snappyLength(bytes)
    const claim = snappyClaim(length, bytes.length, limit)
    if (claim !== '') return claim
    const { memory } = this
    if (!this.#input.fit(memory, bytes.length + SLACK) || !this.#output.fit(memory, length + SLACK))
      return 'no-room'
    const from = this.#input.address
    memory.u8.set(bytes, from)
    let at = 0
    while (bytes[at++] >= 0x80) {
      // The header was checked by snappyLength.
    }
    this.#length = length
    const made = this.#kernel.inflate(from + at, from + bytes.length, this.#output.address, length)
    return made < 0 ? 'corrupt' : ''
  }

  #whole(bytes: Uint8Array): '' | 'no-room' {
    if (!this.#output.fit(this.memory, bytes.length + SLACK)) return 'no-room'
    this.memory.u8.set(bytes, this.#output.address)
    this.#length = bytes.length
    return ''
  }

  /** Whether what was opened is a clean sequence of fields. */
  framed(version: 1 | 2): boolean {
    const from = this.#output.address
    this.#symbols = this.#kernel.frame(from, from + this.#length, version === 2 ? SYMBOL_TAG : 0)
    return this.#symbols !== FRAME_BAD
  }

  /** Reads what was opened and framed; '' or why the whole of it cannot be read. `convert`: the sink is a converter. */
  read(c: DecodeContext, version: 1 | 2, plain: RemoteWrite2, convert: boolean): string {
    const { memory } = this
    const from = this.#output.address
    const to = from + this.#length
    memory.i32[SEED >> 2] = c.seed
    memory.i32[SEED_CHECK >> 2] = c.seedCheck
    if (version === 2) {
      const why = this.#readSymbols(from, to)
      if (why !== '') return why
      plain.begin()
    } else if ((memory.i32[FRAME >> 2] & FRAME_METADATA) !== 0) {
      this.#plainly(c)
      readMetadata1(c)
    }
    memory.i32[TAKEN >> 2] = 0
    memory.i32[WIRE >> 2] = -1
    memory.i32[AT >> 2] = from
    for (;;) {
      memory.i32[BATCH_LENGTH >> 2] = memory.batch.length
      const code = this.#kernel.walk(to, version, convert)
      memory.batch.length = memory.i32[BATCH_LENGTH >> 2]
      if (!convert) this.#hand(c)
      if (code === WALK_END) break
      if (code === WALK_FULL) {
        if (convert) c.convert.flush()
      } else if (code === WALK_SAMPLE) {
        this.#sample(c)
      } else if (code !== WALK_NEW || !this.#meet(c)) {
        const { i32 } = memory
        this.#series(
          c,
          version,
          plain,
          (i32[SERIES_AT >> 2] >>> 0) - from,
          (i32[SERIES_END >> 2] >>> 0) - from,
        )
      }
    }
    c.tally.samples += memory.i32[TAKEN >> 2]
    return ''
  }

  /** A sample of a known wire, with its labels at hand where that wire's series may begin with it. */
  #sample(c: DecodeContext): void {
    const { i32, f64 } = this.memory
    const { births, table } = c.convert
    const wire = i32[SAMPLE_WIRE >> 2]
    const isNew = births !== undefined && i32[LABELS_END >> 2] !== 0 && table.row(wire) === -1
    const [timeMs, value] = [f64[IO_TIME_MS >> 3], f64[IO_VALUE >> 3]]
    const labels = isNew ? this.#read(c) : undefined
    if (births !== undefined && labels !== undefined) births.present(wire, labels)
    if (c.convert.sample(wire, timeMs, value)) c.tally.samples++
    if (labels !== undefined) births?.pass()
  }

  /** The first sample of a series that is not known; false where it is to be read the plain way. */
  #meet(c: DecodeContext): boolean {
    const { births, io } = c.convert
    const labels = births && this.#read(c)
    if (births === undefined || labels === undefined) return false
    // The memory may have grown by now.
    const { i32, f64 } = this.memory
    io[0] = f64[IO_TIME_MS >> 3]
    io[1] = f64[IO_VALUE >> 3]
    io[2] = 0
    const id = NEW_ID >> 2
    const wire = births.define(labels, c.tenant, i32[id], i32[id + 1], i32[id + 2], io)
    if (wire < 0) return false
    if (c.convert.take(wire)) c.tally.samples++
    births.pass()
    return true
  }

  /** Labels of the series that the kernel left at; undefined where only the plain way can read them. */
  #read(c: DecodeContext): WireLabels | undefined {
    const { memory } = this
    this.#labels ??= new WireLabels(memory, this.#kernel, c.options)
    const isRead = this.#labels.read(memory.i32[SERIES_AT >> 2] >>> 0, memory.i32[LABELS_END >> 2] >>> 0)
    return isRead ? this.#labels : undefined
  }

  /** Samples of known wires, on to a sink that is no converter. */
  #hand(c: DecodeContext): void {
    const { series, timeMs, value, length } = this.memory.batch
    const { io } = c.convert
    this.memory.batch.length = 0
    for (let i = 0; i < length; i++) {
      io[0] = timeMs[i]
      io[1] = value[i]
      io[2] = 0
      if (c.convert.take(series[i])) c.tally.samples++
    }
  }

  #readSymbols(from: number, to: number): string {
    const { memory } = this
    if (this.#symbols > SYMBOLS_MAX) return symbolsFailure('too-many')
    if ((memory.i32[FRAME >> 2] & FRAME_FIRST_SYMBOL) !== 0) return symbolsFailure('first')
    if (!this.#hashes.fit(memory, this.#symbols * HASH_BYTES + SLACK)) return symbolsFailure('too-many')
    memory.i32[SYMBOL_HASHES >> 2] = this.#hashes.address
    memory.i32[SYMBOLS >> 2] = this.#symbols
    this.#kernel.hashSymbols(from, to)
    return ''
  }

  #series(c: DecodeContext, version: 1 | 2, plain: RemoteWrite2, from: number, to: number): void {
    this.#plainly(c)
    const r = c.reader
    r.pos = from
    if (version === 1) readSeries1(c, to)
    else plain.readSeries(c, to)
    r.bad = false
  }

  /** The reader over a copy of the body: the memory may grow, and its views with it, while it is read. */
  #plainly(c: DecodeContext): void {
    if (this.#copied) return
    this.#copied = true
    const length = this.#length
    if (this.#copy.length < length) this.#copy = new Uint8Array(Math.ceil(length * 1.125))
    this.#copy.set(this.memory.u8.subarray(this.#output.address, this.#output.address + length))
    c.reader.reset(this.#copy, length)
  }

  /** Bytes held outside the memory. */
  get held(): number {
    return this.#copy.length
  }
}
