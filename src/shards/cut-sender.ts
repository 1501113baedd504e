import { setTimeout as wait } from 'node:timers/promises'
import type { MessagePort } from 'node:worker_threads'
import { COLUMN_ARRAYS } from '../core/columns.ts'
import { Cut, CutColumn, type CutSnapshot, HELD_BYTES_MAX } from '../core/cut.ts'
import { SENT, UNWANTED, WANTED } from './memory.ts'
import type { CutPart, CutPlace, CutWord } from './words.ts'

/** Bytes of a piece at most. */
const PIECE_BYTES = 1_048_576
/** A batch waits for copies to be written at most so long, and all batches of one cut, ms. */
const BATCH_WAIT_MS = 250
const BATCHES_WAIT_MS = 15_000
const LOOK_MS = 2

type TypeName = keyof typeof COLUMN_ARRAYS

/** The worker's side of a cut: what is learned stays where it is and goes out in pieces, between turns. */
export class CutSender {
  readonly #control: Int32Array
  readonly #port: MessagePort
  #cut: Cut | undefined
  #number = 0
  #columns = new Map<CutColumn, number>()
  #sent = 0
  #leftMs = 0

  constructor(control: Int32Array, port: MessagePort) {
    this.#control = control
    this.#port = port
  }

  /** Opens a cut; the one before is of no use any more. */
  open(number: number, cutOf: (cut: Cut) => readonly CutSnapshot[]): CutPart[] {
    this.#cut?.close()
    const cut = new Cut()
    this.#cut = cut
    this.#number = number
    this.#columns = new Map()
    this.#sent = 0
    this.#leftMs = BATCHES_WAIT_MS
    return cutOf(cut).map(part => ({
      ...part,
      columns: Object.fromEntries(
        Object.entries(part.columns).map(([name, column]) => [
          name,
          column instanceof CutColumn ? this.#place(column) : column,
        ]),
      ),
    }))
  }

  #place(column: CutColumn): CutPlace {
    const known = this.#columns.get(column) ?? this.#columns.size
    this.#columns.set(column, known)
    const type = (Object.keys(COLUMN_ARRAYS) as TypeName[]).find(name => COLUMN_ARRAYS[name] === column.make)
    return { column: known, type: type as TypeName, length: column.length }
  }

  /** Sends what is wanted. */
  send(): void {
    const cut = this.#cut
    if (cut === undefined) return
    if (Atomics.load(this.#control, UNWANTED) === 1) {
      this.#end()
      return
    }
    while (this.#cut && ((Atomics.load(this.#control, WANTED) - this.#sent) | 0) > 0) {
      try {
        const piece = cut.next(PIECE_BYTES)
        if (piece === undefined) this.#finish(undefined)
        else {
          const bytes = piece.bytes.slice()
          const column = this.#columns.get(piece.column) as number
          this.#post({ number: this.#number, column, at: piece.at, bytes }, [bytes.buffer])
        }
      } catch (error) {
        this.#finish(error instanceof Error ? error.message : String(error))
      }
    }
  }

  /** Waits, for a bounded time, while too many copies wait to be sent. */
  async room(): Promise<void> {
    const until = performance.now() + Math.min(BATCH_WAIT_MS, this.#leftMs)
    const started = performance.now()
    while (this.#cut && this.#cut.heldBytes > HELD_BYTES_MAX / 2 && performance.now() < until) {
      this.send()
      await wait(LOOK_MS)
    }
    this.#leftMs -= performance.now() - started
  }

  #finish(failed: string | undefined): void {
    this.#post({ number: this.#number, bytes: null, failed }, [])
    this.#end()
  }

  #post(word: CutWord, transfer: ArrayBuffer[]): void {
    this.#port.postMessage(word, transfer)
    this.#sent++
    Atomics.store(this.#control, SENT, this.#sent | 0)
    Atomics.notify(this.#control, SENT)
  }

  #end(): void {
    this.#cut?.close()
    this.#cut = undefined
  }
}
