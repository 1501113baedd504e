import { JsonLinesKernel, WALK_END, WALK_LINE } from '../kernels/json-lines.ts'
import { powersOfTen } from '../math/powers-of-ten.ts'
import type { DecodeContext } from './context.ts'
import { enough, MALFORMED, readJsonLine } from './json-lines.ts'

const NEWLINE = 10
/** Words of a record. */
const ENTRY = 0
const LINE = 3
const END = 4

/**
 * JSON lines read by the kernel: of a line that differs from one read before in its numbers only, the series is known and
 * the numbers are all there is to read. What the kernel hands back is read plainly at its place among the others. What it
 * remembers is an identity, looked up in the wire table for each line, so nothing here knows of wires that come and go.
 */
export class JsonBodies {
  readonly #kernel: JsonLinesKernel
  /** Lines of the body at hand that cannot be read. */
  #malformed = 0

  /** Undefined where the kernel cannot run. */
  static make(): JsonBodies | undefined {
    try {
      return new JsonBodies(new JsonLinesKernel(powersOfTen()))
    } catch {
      return undefined
    }
  }

  private constructor(kernel: JsonLinesKernel) {
    this.#kernel = kernel
  }

  /** As `decodeJsonLines`. */
  decode(c: DecodeContext, length: number): string {
    const kernel = this.#kernel
    const { bytes } = c.reader
    kernel.seed(c.seed, c.seedCheck)
    this.#malformed = 0
    let number = 0
    for (let from = 0; from < length; ) {
      const to = cut(bytes, from, length, kernel.room)
      if (to > from) {
        kernel.open(bytes, from, to, number)
        const failure = this.#walk(c)
        if (failure !== '') return failure
        number = kernel.line
        from = to
        continue
      }
      // A line that is longer than what is read at a time.
      let end = bytes.indexOf(NEWLINE, from)
      if (end < 0 || end > length) end = length
      if (readJsonLine(c, bytes.subarray(from, end), ++number) === MALFORMED) {
        const failure = enough(++this.#malformed, number)
        if (failure !== '') return failure
      }
      from = end + 1
    }
    return ''
  }

  /** Bytes held. */
  bytes(): number {
    return this.#kernel.bytes()
  }

  #walk(c: DecodeContext): string {
    const kernel = this.#kernel
    for (;;) {
      const code = kernel.walk()
      this.#take(c)
      if (code === WALK_END) return ''
      if (code !== WALK_LINE) continue
      const isFramed = kernel.framed
      const wire = readJsonLine(c, kernel.lineText, kernel.line)
      if (wire >= 0 && isFramed) kernel.learn(c.hash[0], c.hash[1], c.hash[2])
      if (wire === MALFORMED) {
        const failure = enough(++this.#malformed, kernel.line)
        if (failure !== '') return failure
      }
    }
  }

  /** What was read so far, into the sink. */
  #take(c: DecodeContext): void {
    const kernel = this.#kernel
    const { convert, tally } = c
    const { table, io } = convert
    const { records, timeMs, value } = kernel
    let at = 0
    for (let r = 0; r < records; r++) {
      const entry = kernel.record(r, ENTRY)
      const end = kernel.record(r, END)
      const wire = table.find(kernel.named(entry, 0), kernel.named(entry, 1), kernel.named(entry, 2))
      if (wire < 0) readJsonLine(c, kernel.text(r), kernel.record(r, LINE))
      else {
        for (let n = at; n < end; n++) {
          io[0] = timeMs[n]
          io[1] = value[n]
          io[2] = 0
          if (convert.take(wire)) tally.samples++
        }
      }
      at = end
    }
    kernel.drop()
  }
}

/** Where the last whole line ends that fits; `from` when not even one does. */
function cut(bytes: Uint8Array, from: number, length: number, room: number): number {
  if (length - from <= room) return length
  const newline = bytes.lastIndexOf(NEWLINE, from + room - 1)
  return newline < from ? from : newline + 1
}
