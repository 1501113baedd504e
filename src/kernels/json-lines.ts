import {
  AT,
  ENTRY_BYTES,
  EXACT_POWERS,
  FRAMED,
  LINE,
  LINE_FROM,
  LINE_TO,
  NAMED,
  NUMBERS,
  NUMBERS_MAX,
  POWERS,
  RECORD_AT,
  RECORD_BYTES,
  RECORDS,
  SEED,
  SEED_CHECK,
  TABLE,
  TABLE_AT,
  TABLE_MASK,
  TEXT_AT,
  TEXT_MAX,
  TIMES_AT,
  VALUES_AT,
} from './assembly/_json-layout.ts'
import { instantiateKernel, pagesOf } from './load.ts'

export { WALK_END, WALK_LINE } from './assembly/_json-layout.ts'

interface Exports {
  walk(to: number): number
  learn(): number
  numberAt(at: number): number
  numberEnds(): number
}

const NEWLINE = 10
/** Entries of the table when it is made, and at most: 25 MB, half a million kinds of lines. */
const ENTRIES_LEAST = 4096
const ENTRIES_MAX = 1_048_576

/** Words of a record: entry, from, to, line, end of its numbers. */
export const RECORD_WORDS = RECORD_BYTES / 4

/**
 * Lines of JSON whose numbers are read in WebAssembly, in a memory of its own. A piece of text is put in, walked until its end,
 * and what was read is taken from the columns whenever the walk pauses.
 */
export class JsonLinesKernel {
  readonly #memory = new WebAssembly.Memory({ initial: pagesOf(TABLE_AT + ENTRIES_LEAST * ENTRY_BYTES) })
  readonly #kernel: Exports
  #u8: Uint8Array
  #i32: Int32Array
  #f64: Float64Array
  #entries = ENTRIES_LEAST
  #known = 0
  #end = TEXT_AT

  /** `powers`: those of ten in 128 bits, as math/powers-of-ten.ts makes them. Throws where WebAssembly cannot run it. */
  constructor(powers: BigUint64Array) {
    this.#kernel = instantiateKernel<Exports>('json-lines', this.#memory, {
      slowNumber: from => this.#slowNumber(from),
    })
    const { buffer } = this.#memory
    this.#u8 = new Uint8Array(buffer)
    this.#i32 = new Int32Array(buffer)
    this.#f64 = new Float64Array(buffer)
    this.#u8.set(new Uint8Array(powers.buffer, powers.byteOffset, powers.byteLength), POWERS)
    for (let power = 0; power <= 22; power++) this.#f64[(EXACT_POWERS >> 3) + power] = Number(`1e${power}`)
    this.#empty()
  }

  /** Longest text that is walked at a time, bytes. */
  get room(): number {
    return TEXT_MAX
  }

  /** Puts lines in, whole ones, of which the first has the number `line` + 1. */
  open(bytes: Uint8Array, from: number, to: number, line: number): void {
    this.#u8.set(bytes.subarray(from, to), TEXT_AT)
    this.#end = TEXT_AT + to - from
    this.#u8[this.#end] = NEWLINE
    this.#i32[AT >> 2] = TEXT_AT
    this.#i32[LINE >> 2] = line
    this.drop()
  }

  /** Identities are told apart by these. */
  seed(seed: number, seedCheck: number): void {
    this.#i32[SEED >> 2] = seed
    this.#i32[SEED_CHECK >> 2] = seedCheck
  }

  /** Goes on; one of WALK_. Afterwards what `records` and the columns hold is to be taken, and then let go by `drop`. */
  walk(): number {
    return this.#kernel.walk(this.#end)
  }

  /** Lines that were read. */
  get records(): number {
    return this.#i32[RECORDS >> 2]
  }

  /** Word `word` of the record of one. */
  record(index: number, word: number): number {
    return this.#i32[(RECORD_AT >> 2) + index * RECORD_WORDS + word]
  }

  /** Word `word` of what was remembered for the line of an entry. */
  named(entry: number, word: number): number {
    return this.#i32[(entry >> 2) + 3 + word]
  }

  /** Times (Unix ms) and values of all lines read, one after the other. */
  get timeMs(): Float64Array {
    return this.#f64.subarray(TIMES_AT >> 3, (TIMES_AT >> 3) + NUMBERS_MAX)
  }

  get value(): Float64Array {
    return this.#f64.subarray(VALUES_AT >> 3, (VALUES_AT >> 3) + NUMBERS_MAX)
  }

  drop(): void {
    this.#i32[RECORDS >> 2] = 0
    this.#i32[NUMBERS >> 2] = 0
  }

  /** The line at which the walk stands: its number, and its text, valid until the next `open`. */
  get line(): number {
    return this.#i32[LINE >> 2]
  }

  get lineText(): Uint8Array {
    return this.#u8.subarray(this.#i32[LINE_FROM >> 2], this.#i32[LINE_TO >> 2])
  }

  /** The text of a record's line. */
  text(index: number): Uint8Array {
    return this.#u8.subarray(this.record(index, 1), this.record(index, 2))
  }

  /** Whether lines like the one at which the walk stands would be known once `learn` was told of it. */
  get framed(): boolean {
    return this.#i32[FRAMED >> 2] !== 0
  }

  /** Lines that differ in numbers only from the one at which the walk stands are of the identity of these three words. */
  learn(a: number, b: number, check: number): void {
    if (2 * this.#known >= this.#entries) this.#grow()
    this.#i32[NAMED >> 2] = a
    this.#i32[(NAMED >> 2) + 1] = b
    this.#i32[(NAMED >> 2) + 2] = check
    if (this.#kernel.learn() !== 0) this.#known++
  }

  /** The number that a text is, NaN when it is none: what the walk makes of it. */
  number(text: string): number {
    const { written } = new TextEncoder().encodeInto(
      `${text}\n`,
      this.#u8.subarray(TEXT_AT, TEXT_AT + TEXT_MAX),
    )
    const found = this.#kernel.numberAt(TEXT_AT)
    return this.#kernel.numberEnds() === TEXT_AT + written - 1 ? found : Number.NaN
  }

  bytes(): number {
    return this.#u8.length
  }

  /** A larger table is an empty one: what is sent still is learned again. */
  #grow(): void {
    if (this.#entries < ENTRIES_MAX) {
      this.#entries *= 2
      const bytes = TABLE_AT + this.#entries * ENTRY_BYTES
      this.#memory.grow(pagesOf(bytes - this.#u8.length))
      const { buffer } = this.#memory
      this.#u8 = new Uint8Array(buffer)
      this.#i32 = new Int32Array(buffer)
      this.#f64 = new Float64Array(buffer)
    }
    this.#empty()
  }

  #empty(): void {
    this.#known = 0
    this.#u8.fill(0, TABLE_AT, TABLE_AT + this.#entries * ENTRY_BYTES)
    this.#i32[TABLE >> 2] = TABLE_AT
    this.#i32[TABLE_MASK >> 2] = this.#entries - 1
  }

  #slowNumber(from: number): number {
    const u8 = this.#u8
    let to = from
    while (isOfNumber(u8[to])) to++
    return Number(Buffer.from(u8.buffer, from, to - from).toString('latin1'))
  }
}

/** Digits, signs, the point and the letter of powers. */
function isOfNumber(byte: number): boolean {
  return (
    (byte >= 48 && byte <= 57) || byte === 43 || byte === 45 || byte === 46 || byte === 69 || byte === 101
  )
}
