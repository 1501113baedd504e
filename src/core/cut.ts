import { ForeshockError } from './errors.ts'
import type { ColumnData, Snapshot } from './snapshot.ts'

/** What a cut needs of a typed array's constructor. */
export interface ColumnMaker {
  new (length: number): ColumnData
  readonly BYTES_PER_ELEMENT: number
}

/** A column of a checkpoint whose values still lie in live memory; stretches bring them. What none brings is zero. */
export class CutColumn {
  readonly make: ColumnMaker
  /** Values. */
  readonly length: number

  constructor(make: ColumnMaker, length: number) {
    this.make = make
    this.length = length
  }
}

/** Live values that belong from index `at` on in a column. */
export interface CutPiece {
  readonly column: CutColumn
  readonly at: number
  readonly values: ColumnData
}

/** A piece as it is written. `bytes` are lent: copy them before anything else runs. */
export interface CutBytes {
  readonly column: CutColumn
  /** First byte's place in the column. */
  readonly at: number
  readonly bytes: Uint8Array
}

/** A snapshot of which parts are still in live memory. */
export interface CutSnapshot extends Omit<Snapshot, 'columns'> {
  readonly columns: Readonly<Record<string, ColumnData | CutColumn>>
}

/** Copies that may wait to be written, bytes, where nobody keeps to the writer's pace: the history, and what a batch of series changes, at once. */
export const HELD_BYTES_MAX = 402_653_184

/** What of a cut lies elsewhere, such as in the memory of another thread. */
export interface CutSource {
  /** Whether `next` need not wait. */
  readonly isReady: boolean
  /** As `Cut.next`; it waits standing still. */
  next(bytesMax: number): CutBytes | undefined
  /** Nothing more of it is wanted. */
  close(): void
}

/** Where live values lie at present; asked again whenever they are read, since memory may move in one that grows. */
export type CutPieces = () => readonly CutPiece[]

/**
 * Live memory that is written to a checkpoint a piece at a time while its owner goes on. Whoever is about to change it
 * calls `touch` first: what is not written yet is copied then, and only then.
 */
export class Stretch {
  readonly rank: number
  /** Copied, and waiting to be written. */
  isHeld = false
  #cut: Cut | undefined
  #pieces: CutPieces
  /** What is written already: whole pieces, and values of the one after them. */
  #at = 0
  #done = 0

  constructor(cut: Cut, rank: number, pieces: CutPieces) {
    this.#cut = cut
    this.rank = rank
    this.#pieces = pieces
  }

  /** Whether a cut still reads the live memory. */
  get isPending(): boolean {
    return this.#cut !== undefined
  }

  /** The owner is about to write, or to let the memory go. Free of charge once written or copied. */
  touch(): void {
    if (this.#cut === undefined) return
    const cut = this.#cut
    this.#cut = undefined
    const left = this.#pieces().slice(this.#at)
    let bytes = 0
    for (const [i, { values }] of left.entries())
      bytes += values.byteLength - (i === 0 ? this.#done * values.BYTES_PER_ELEMENT : 0)
    // Written to its last byte, but not known to be at its end: what it lay in may be gone when it is asked.
    if (bytes === 0) this.drop()
    if (bytes === 0 || !cut.makeRoom(bytes)) return
    const copies = left.map(({ column, at, values }, i) => {
      const from = i === 0 ? this.#done : 0
      return { column, at: at + from, values: values.slice(from) }
    })
    this.#pieces = () => copies
    this.#at = 0
    this.#done = 0
    this.isHeld = true
    cut.hold(this, bytes)
  }

  /** Up to `bytesMax` of what is left, undefined at its end. For its cut alone. */
  next(bytesMax: number): CutBytes | undefined {
    const pieces = this.#pieces()
    while (this.#at < pieces.length && this.#done >= pieces[this.#at].values.length) {
      this.#at++
      this.#done = 0
    }
    if (this.#at >= pieces.length) {
      this.drop()
      return undefined
    }
    const { column, at, values } = pieces[this.#at]
    const size = values.BYTES_PER_ELEMENT
    const from = this.#done
    const count = Math.min(values.length - from, Math.floor(bytesMax / size))
    this.#done += count
    const bytes = new Uint8Array(values.buffer, values.byteOffset + from * size, count * size)
    return { column, at: (at + from) * size, bytes }
  }

  /** Nothing of it is wanted any more. */
  drop(): void {
    this.#cut = undefined
    this.#pieces = () => NO_PIECES
    this.#at = 0
  }
}

const NO_PIECES: readonly CutPiece[] = []

/**
 * A checkpoint that is being taken while the pipeline goes on (copy on write). It is opened while everything stands still
 * and knows where every column lies; from then on the columns are written a piece at a time, and owners copy what they are
 * about to change. Copies that wait are bounded: beyond that the cut is given up, and the next one begins anew.
 */
export class Cut {
  readonly #heldBytesMax: number
  #pending: Stretch[] = []
  #isSorted = false
  readonly #held: Stretch[] = []
  #heldBytes = 0
  #heldBytesPeak = 0
  #copiedBytes = 0
  /** Why it cannot be written whole any more. */
  #givenUp: string | undefined
  #isClosed = false
  #waiting: (() => void)[] = []
  #followers: { readonly rank: number; readonly done: () => void }[] = []
  readonly #sources: CutSource[] = []
  /** Rows of the series table, of which ranks are shares; 0 where there is none. */
  readonly rows: number

  constructor(heldBytesMax = HELD_BYTES_MAX, rows = 0) {
    this.#heldBytesMax = heldBytesMax
    this.rows = rows
  }

  /**
   * Live memory of columns. It is written in the order of `rank`, 0..1: how far towards the end of the table its rows
   * lie, so that what a window changes next has been written before; below 0 what every sample changes. What `pieces`
   * names must stay as it is until `touch`.
   */
  stretch(rank: number, pieces: CutPieces): Stretch {
    const stretch = new Stretch(this, rank, pieces)
    this.#pending.push(stretch)
    return stretch
  }

  /** Columns whose values lie elsewhere are brought by `source`. */
  add(source: CutSource): void {
    this.#sources.push(source)
  }

  /** Up to `bytesMax` (at least 8) of what is not written yet; undefined when all is. Throws FS_OVERLOADED when given up. */
  next(bytesMax: number): CutBytes | undefined {
    if (this.#givenUp !== undefined) throw new ForeshockError('FS_OVERLOADED', this.#givenUp)
    for (let held = this.#held[0]; held; held = this.#held[0]) {
      const found = held.next(bytesMax)
      if (found) {
        this.#release(found.bytes.length)
        return found
      }
      this.#held.shift()
    }
    // Elsewhere too copies wait when it is not asked.
    for (const source of this.#sources) {
      const found = source.isReady ? source.next(bytesMax) : undefined
      if (found) return found
    }
    this.#sort()
    for (let last = this.#pending.at(-1); last; last = this.#pending.at(-1)) {
      // What was touched meanwhile is with those held.
      const found = last.isHeld ? undefined : last.next(bytesMax)
      if (found) return found
      this.#pending.pop()
      this.#tellFollowers()
    }
    for (const source of this.#sources) {
      const found = source.next(bytesMax)
      if (found) return found
    }
    return undefined
  }

  #sort(): void {
    if (this.#isSorted) return
    // Last in the list is first to be written.
    this.#pending.sort((a, b) => b.rank - a.rank)
    this.#isSorted = true
  }

  /** Whether anything of it may still be asked for. */
  get isOpen(): boolean {
    return !this.#isClosed
  }

  /** Bytes that owners had to copy, for the operator. */
  get copiedBytes(): number {
    return this.#copiedBytes
  }

  /** Copies that wait to be written, bytes. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The most that ever waited, bytes. */
  get heldBytesPeak(): number {
    return this.#heldBytesPeak
  }

  /**
   * Resolves when all that belongs to the series table's rows up to `row` is written, or nothing is wanted any more; undefined
   * when it is. Who waits before changing these rows changes nothing that would have to be copied.
   */
  reached(row: number): Promise<void> | undefined {
    const rank = this.rows > 0 ? row / this.rows : 1
    if (this.#isPast(rank)) return undefined
    return new Promise(done => this.#followers.push({ rank, done }))
  }

  #isPast(rank: number): boolean {
    this.#sort()
    const next = this.#pending.at(-1)
    return next === undefined || next.rank > rank
  }

  #tellFollowers(): void {
    if (this.#followers.length === 0) return
    const past = this.#followers.filter(({ rank }) => this.#isPast(rank))
    if (past.length === 0) return
    this.#followers = this.#followers.filter(one => !past.includes(one))
    for (const { done } of past) done()
  }

  /**
   * Resolves when half of the copies that may wait have been written, or nothing waits any more; undefined when there is
   * room. Who asks before each batch keeps the cut from being given up while the disk can follow.
   */
  room(): Promise<void> | undefined {
    if (this.#heldBytes <= this.#heldBytesMax / 2) return undefined
    return new Promise(done => this.#waiting.push(done))
  }

  /** Written whole, or no longer wanted: owners copy nothing from here on. */
  close(): void {
    this.#isClosed = true
    for (const source of this.#sources) source.close()
    for (const stretch of [...this.#pending, ...this.#held]) stretch.drop()
    this.#pending = []
    this.#held.length = 0
    this.#heldBytes = 0
    this.#wake()
    this.#tellFollowers()
  }

  /** It is not to be written whole: who asks for what is left is told why. */
  giveUp(why: string): void {
    this.#givenUp = why
    this.close()
  }

  /** For stretches: whether that much more may wait. */
  makeRoom(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#heldBytesMax)
      this.giveUp(`more than ${this.#heldBytesMax} bytes of a checkpoint waited to be written`)
    return this.#givenUp === undefined
  }

  /** For stretches that have copied what is left of them. */
  hold(stretch: Stretch, bytes: number): void {
    this.#held.push(stretch)
    this.#heldBytes += bytes
    this.#heldBytesPeak = Math.max(this.#heldBytesPeak, this.#heldBytes)
    this.#copiedBytes += bytes
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes
    if (this.#heldBytes <= this.#heldBytesMax / 2) this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const done of waiting) done()
  }
}

/** The snapshots with everything copied now: for stores in memory, and for whoever has no cut. Closes the cut. */
export function settled(parts: readonly CutSnapshot[], cut: Cut | undefined): Snapshot[] {
  const made = new Map<CutColumn, ColumnData>()
  const columnOf = (column: CutColumn): ColumnData => {
    const known = made.get(column) ?? new column.make(column.length)
    made.set(column, known)
    return known
  }
  for (let piece = cut?.next(1 << 30); piece; piece = cut?.next(1 << 30)) {
    const { buffer } = columnOf(piece.column)
    new Uint8Array(buffer).set(piece.bytes, piece.at)
  }
  cut?.close()
  return parts.map(part => ({
    ...part,
    columns: Object.fromEntries(
      Object.entries(part.columns).map(([name, column]) => [
        name,
        column instanceof CutColumn ? columnOf(column) : column,
      ]),
    ),
  }))
}
