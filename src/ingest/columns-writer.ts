import { ByteWriter } from '../core/byte-writer.ts'
import { writeHistogram } from './columns-histogram.ts'
import { COLUMNS_VERSION, IDENTITY_BYTES, SHAPE } from './columns-layout.ts'
import type { HistogramPoint } from './points.ts'

/** The columns double from here; a body that is spread over a hundred partitions leaves some tens of rows in each. */
const FIRST_CAPACITY = 64
/** Version, shape, base time and five counts. */
const HEADER_BYTES_MAX = 64
/** A sample at most: where it is, time, value, start. */
const SAMPLE_BYTES_MAX = 5 + 10 + 8 + 10
/** Beyond this a time is written as a double: varints here are exact below 2^53 and differences are doubled. */
const WHOLE_MAX = 2 ** 50

/** Points of one partition on their way into one columnar message. Reused: it grows to the largest message. */
export class ColumnsWriter {
  /** Set anew with each message, so that a wire's place in another one is never taken for its place in this. */
  serial = 0
  series = 0
  samples = 0
  histograms = 0
  #capacity = FIRST_CAPACITY
  #seriesCapacity = FIRST_CAPACITY
  #identity = new Int32Array(3 * FIRST_CAPACITY)
  #where = new Float64Array(FIRST_CAPACITY)
  #timeMs = new Float64Array(FIRST_CAPACITY)
  #value = new Float64Array(FIRST_CAPACITY)
  #startMs = new Float64Array(FIRST_CAPACITY)
  #shape: number = SHAPE.ordered | SHAPE.oneTime
  #definitions = 0
  readonly #definitionBytes = new ByteWriter(256)
  readonly #histogramBytes = new ByteWriter(256)

  /** Bytes that the message has at most. */
  get bytesMax(): number {
    return (
      HEADER_BYTES_MAX +
      this.series * IDENTITY_BYTES +
      this.samples * SAMPLE_BYTES_MAX +
      this.#definitionBytes.length +
      this.#histogramBytes.length
    )
  }

  get empty(): boolean {
    return this.series === 0
  }

  /** A series of this message; returns its index. */
  addSeries(a: number, b: number, check: number): number {
    const index = this.series++
    if (index === this.#seriesCapacity) {
      this.#seriesCapacity *= 2
      const larger = new Int32Array(3 * this.#seriesCapacity)
      larger.set(this.#identity)
      this.#identity = larger
    }
    const at = 3 * index
    this.#identity[at] = a
    this.#identity[at + 1] = b
    this.#identity[at + 2] = check
    return index
  }

  /** What defines the series that was added last. */
  define(index: number, definition: Uint8Array): void {
    this.#definitions++
    this.#definitionBytes.varint(index)
    this.#definitionBytes.varint(definition.length)
    this.#definitionBytes.bytes(definition)
  }

  /** Time, value and start (0 when not said) as in `io`; `bits` of BIT. */
  add(index: number, bits: number, io: Float64Array): void {
    const at = this.samples++
    if (at === this.#capacity) this.#grow()
    const timeMs = io[0]
    const startMs = io[2]
    this.#where[at] = index * 4 + bits
    this.#timeMs[at] = timeMs
    this.#value[at] = io[1]
    this.#startMs[at] = startMs
    if (index !== at || bits !== 0) this.#shape &= ~SHAPE.ordered
    if (timeMs !== this.#timeMs[0]) this.#shape &= ~SHAPE.oneTime
    if (startMs !== 0) {
      this.#shape |= SHAPE.starts
      if (!isWhole(startMs)) this.#shape |= SHAPE.exact
    }
    if (!isWhole(timeMs)) this.#shape |= SHAPE.exact
  }

  addHistogram(index: number, point: HistogramPoint): void {
    this.histograms++
    this.#histogramBytes.varint(index)
    writeHistogram(this.#histogramBytes, point)
  }

  /** The message, and a fresh start for the next one. */
  take(scratch: Scratch): Uint8Array {
    const bytes = scratch.room(this.bytesMax)
    const length = this.#write(bytes, scratch.view)
    this.clear()
    return bytes.slice(0, length)
  }

  clear(): void {
    this.series = this.samples = this.histograms = this.#definitions = 0
    this.#shape = SHAPE.ordered | SHAPE.oneTime
    this.#definitionBytes.clear()
    this.#histogramBytes.clear()
  }

  #write(bytes: Uint8Array, view: DataView): number {
    const { series, samples } = this
    const shape = this.#shape
    bytes[0] = COLUMNS_VERSION
    bytes[1] = shape
    view.setFloat64(2, samples > 0 ? this.#timeMs[0] : 0, true)
    let at = putVarint(bytes, 10, series)
    at = putVarint(bytes, at, samples)
    at = putVarint(bytes, at, this.#definitions)
    at = putVarint(bytes, at, 0)
    at = putVarint(bytes, at, this.histograms)
    bytes.set(this.#definitionBytes.lend(), at)
    at += this.#definitionBytes.length
    for (let i = 0; i < 3 * series; i++, at += 4) view.setInt32(at, this.#identity[i], true)
    if ((shape & SHAPE.ordered) === 0) at = putPlaces(bytes, at, this.#where, samples)
    const exact = (shape & SHAPE.exact) !== 0
    if ((shape & SHAPE.oneTime) === 0) {
      at = exact
        ? putDoubles(view, at, this.#timeMs, samples)
        : putDifferences(bytes, at, this.#timeMs, samples, this.#timeMs[0])
    }
    at = putDoubles(view, at, this.#value, samples)
    if ((shape & SHAPE.starts) !== 0) {
      at = exact
        ? putDoubles(view, at, this.#startMs, samples)
        : putDifferences(bytes, at, this.#startMs, samples, 0)
    }
    bytes.set(this.#histogramBytes.lend(), at)
    return at + this.#histogramBytes.length
  }

  #grow(): void {
    this.#capacity *= 2
    const wider = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(this.#capacity)
      to.set(from)
      return to
    }
    this.#where = wider(this.#where)
    this.#timeMs = wider(this.#timeMs)
    this.#value = wider(this.#value)
    this.#startMs = wider(this.#startMs)
  }
}

/** A message of `count` declarations (family, type, unit each) and nothing else. */
export function declarationsMessage(count: number, declarations: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES_MAX + declarations.length)
  bytes[0] = COLUMNS_VERSION
  bytes[1] = SHAPE.ordered | SHAPE.oneTime
  // Base time, series, samples and definitions are zero.
  let at = putVarint(bytes, 13, count)
  at = putVarint(bytes, at, 0)
  bytes.set(declarations, at)
  return bytes.slice(0, at + declarations.length)
}

/** Where messages are laid out before their length is known; one for all writers. */
export class Scratch {
  #bytes = new Uint8Array(65_536)
  view = new DataView(this.#bytes.buffer)

  room(length: number): Uint8Array {
    if (this.#bytes.length < length) {
      this.#bytes = new Uint8Array(Math.max(length, 2 * this.#bytes.length))
      this.view = new DataView(this.#bytes.buffer)
    }
    return this.#bytes
  }
}

function isWhole(ms: number): boolean {
  return Math.floor(ms) === ms && ms < WHOLE_MAX && ms > -WHOLE_MAX
}

/** An unsigned varint, exact below 2^53; returns where the next byte goes. */
function putVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from
  let rest = value
  while (rest >= 0x80) {
    bytes[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[at++] = rest
  return at
}

function putPlaces(bytes: Uint8Array, from: number, where: Float64Array, length: number): number {
  let at = from
  let next = 0
  for (let i = 0; i < length; i++) {
    const index = Math.floor(where[i] / 4)
    const bits = where[i] - 4 * index
    const step = index - next
    at = putVarint(bytes, at, (step < 0 ? -2 * step - 1 : 2 * step) * 4 + bits)
    next = index + 1
  }
  return at
}

function putDifferences(
  bytes: Uint8Array,
  from: number,
  times: Float64Array,
  length: number,
  first: number,
): number {
  let at = from
  let before = first
  for (let i = 0; i < length; i++) {
    const step = times[i] - before
    at = putVarint(bytes, at, step < 0 ? -2 * step - 1 : 2 * step)
    before = times[i]
  }
  return at
}

function putDoubles(view: DataView, from: number, values: Float64Array, length: number): number {
  let at = from
  for (let i = 0; i < length; i++, at += 8) view.setFloat64(at, values[i], true)
  return at
}
