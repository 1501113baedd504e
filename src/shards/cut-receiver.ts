import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { COLUMN_ARRAYS } from '../core/columns.ts'
import { type CutBytes, CutColumn, type CutSnapshot, type CutSource } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import { ASKED, SENT, UNWANTED, WANTED } from './memory.ts'
import type { CutPart, CutWord } from './words.ts'

/** Pieces asked for ahead: 8 MB. */
const AHEAD = 8
/** While it stands still it looks this often whether the worker is still there, ms. */
const LOOK_MS = 5

/** The main thread's side of a worker's cut: pieces are asked for ahead, so that the writer seldom waits for the worker. */
export class CutReceiver implements CutSource {
  readonly #control: Int32Array
  readonly #port: MessagePort
  readonly #number: number
  readonly #hasEnded: () => boolean
  readonly #columns: CutColumn[] = []
  #held: CutBytes | undefined
  #isEnded = false

  /** `number`: which cut of this worker; `hasEnded`: whether its thread is no more. Nothing is sent yet. */
  constructor(control: Int32Array, port: MessagePort, number: number, hasEnded: () => boolean) {
    this.#control = control
    this.#port = port
    this.#number = number
    this.#hasEnded = hasEnded
    // What is left of the one before is thrown away.
    while (receiveMessageOnPort(port)) {}
    Atomics.store(control, UNWANTED, 0)
    Atomics.store(control, SENT, 0)
    Atomics.store(control, WANTED, AHEAD)
  }

  /** Parts as the worker told of them, with columns that this source brings. */
  parts(parts: readonly CutPart[]): CutSnapshot[] {
    return parts.map(part => ({
      ...part,
      columns: Object.fromEntries(
        Object.entries(part.columns).map(([name, column]) => {
          if (!('type' in column)) return [name, column]
          this.#columns[column.column] ??= new CutColumn(COLUMN_ARRAYS[column.type], column.length)
          return [name, this.#columns[column.column]]
        }),
      ),
    }))
  }

  get isReady(): boolean {
    if (this.#held === undefined && !this.#isEnded) this.#receive()
    return this.#held !== undefined
  }

  next(bytesMax: number): CutBytes | undefined {
    while (this.#held === undefined && !this.#isEnded) {
      const seen = Atomics.load(this.#control, SENT)
      if (this.#receive()) continue
      if (this.#hasEnded())
        throw new ForeshockError('FS_WORKER_LOST', 'a worker has ended while its state was saved')
      // It may have begun to wait before it saw that more is wanted.
      Atomics.notify(this.#control, ASKED)
      Atomics.wait(this.#control, SENT, seen, LOOK_MS)
    }
    const held = this.#held
    if (held === undefined) return undefined
    const { column, at, bytes } = held
    // No value is parted.
    const size = column.make.BYTES_PER_ELEMENT
    const count = Math.min(bytes.length, bytesMax - (bytesMax % size))
    this.#held = count === bytes.length ? undefined : { column, at: at + count, bytes: bytes.subarray(count) }
    return { column, at, bytes: bytes.subarray(0, count) }
  }

  #receive(): boolean {
    const word = receiveMessageOnPort(this.#port)?.message as CutWord | undefined
    if (word === undefined) return false
    if (word.number !== this.#number) return true
    if (word.bytes === null) {
      this.#isEnded = true
      if (word.failed !== undefined) throw new ForeshockError('FS_OVERLOADED', word.failed)
      return true
    }
    this.#held = { column: this.#columns[word.column], at: word.at, bytes: word.bytes }
    Atomics.add(this.#control, WANTED, 1)
    Atomics.notify(this.#control, ASKED)
    return true
  }

  close(): void {
    this.#held = undefined
    if (this.#isEnded) return
    this.#isEnded = true
    Atomics.store(this.#control, UNWANTED, 1)
    Atomics.notify(this.#control, ASKED)
  }
}
