import { changed } from '../core/shared-word.ts'
import type { ModelCard } from './model-card.ts'
import { BATCH_ROWS } from './model-runtime.ts'

/**
 * Memory shared by a session and its thread: a ring of slots, each with the rows of one question and their answer. Both
 * sides count up (modulo 2³²), one what it has asked, the other what it has answered, and wake each other when they
 * do: a call costs half of what two messages between threads cost, and one that finds the thread at work wakes nobody.
 */
export interface ChannelMemory {
  readonly shared: SharedArrayBuffer
  /** Rows that a slot has room for, and their numbers. */
  readonly rows: number
  readonly inputs: number
  readonly outputs: number
}

/** Questions on their way at once; a power of two. */
const SLOTS = 4
/**
 * Numbers of a slot, 256 kB: a batch of usual width crosses in one go, and waking the other side costs more than a copy
 * that leaves a core's own cache. Of 16, 64 and 128 thousand the middle one was fastest on a machine at rest. More rows
 * are asked for in several slots, and the thread works on one while the next is filled.
 */
const SLOT_NUMBERS = 65_536
/** Rows so wide that fewer of them would fit come so many at a time still. */
const SLOT_ROWS_MIN = 16
/** Places in the control words, then the rows (or what else there is to say) of each slot. */
const ASKED = 0
const ANSWERED = 1
const HEAD = 2
const CONTROL_BYTES = 4 * (HEAD + SLOTS)
/** Said in place of rows: the model is to be closed; it failed, and the slot holds why. */
const CLOSE = -1
const FAILED = -2

export function channelFor({ input, output }: ModelCard): ChannelMemory {
  const widest = Math.max(input.width, output.width)
  const fitting = Math.max(SLOT_ROWS_MIN, Math.min(BATCH_ROWS, Math.floor(SLOT_NUMBERS / widest)))
  // Slots begin at multiples of eight bytes: engines copy shared memory byte by byte elsewhere.
  const rows = fitting - (fitting % 2)
  const [inputs, outputs] = [rows * input.width, rows * output.width]
  const shared = new SharedArrayBuffer(CONTROL_BYTES + 4 * SLOTS * (inputs + outputs))
  return { shared, rows, inputs, outputs }
}

interface Slot {
  readonly input: Float32Array
  readonly output: Float32Array
}

function open({ shared, inputs, outputs }: ChannelMemory): { control: Int32Array; slots: Slot[] } {
  const slots = Array.from({ length: SLOTS }, (_, at) => {
    const from = CONTROL_BYTES + 4 * at * (inputs + outputs)
    return {
      input: new Float32Array(shared, from, inputs),
      output: new Float32Array(shared, from + 4 * inputs, outputs),
    }
  })
  return { control: new Int32Array(shared, 0, HEAD + SLOTS), slots }
}

/** What the asking side hears, in the order of its questions; the answer is lent until the callee returns. */
export interface Answers {
  answer(output: Float32Array): void
  failed(reason: string): void
}

/** The side of the session. */
export class AskingEnd {
  readonly #control: Int32Array
  readonly #slots: readonly Slot[]
  readonly #rows: number
  readonly #inputs: number
  readonly #outputs: number
  #asked = 0
  #answered = 0
  #isClosed = false

  constructor(memory: ChannelMemory) {
    const { control, slots } = open(memory)
    this.#control = control
    this.#slots = slots
    this.#rows = memory.rows
    this.#inputs = memory.inputs / memory.rows
    this.#outputs = memory.outputs / memory.rows
  }

  /** Rows that the next question may have; 0 while all slots are on their way. */
  get room(): number {
    return this.#asked - this.#answered < SLOTS ? this.#rows : 0
  }

  /** Asks for `rows` rows, at most `room`, of `input` from row `from` on. */
  ask(input: Float32Array, from: number, rows: number): void {
    const width = this.#inputs
    const at = this.#asked & (SLOTS - 1)
    this.#slots[at].input.set(input.subarray(from * width, (from + rows) * width))
    this.#say(rows)
  }

  /** Asks the other side to close the model and end, after what it was asked before. */
  close(): void {
    this.#say(CLOSE)
  }

  #say(word: number): void {
    this.#control[HEAD + (this.#asked & (SLOTS - 1))] = word
    Atomics.store(this.#control, ASKED, ++this.#asked | 0)
    Atomics.notify(this.#control, ASKED)
  }

  /** Hands over answers as they come, until `stop`. */
  async listen(answers: Answers): Promise<void> {
    for (;;) {
      const seen = Atomics.load(this.#control, ANSWERED)
      while (!this.#isClosed && (this.#answered | 0) !== seen) {
        const at = this.#answered++ & (SLOTS - 1)
        const word = this.#control[HEAD + at]
        const { output } = this.#slots[at]
        if (word === FAILED) answers.failed(readText(output))
        else answers.answer(output.subarray(0, word * this.#outputs))
      }
      if (this.#isClosed) return
      await changed(this.#control, ANSWERED, seen)
    }
  }

  stop(): void {
    this.#isClosed = true
    // Else its own waiting would keep the memory.
    Atomics.notify(this.#control, ANSWERED)
  }
}

/** The side of the thread: answers one question after the other, until it is to close. */
export async function answerAll(
  memory: ChannelMemory,
  run: (input: Float32Array, rows: number) => Promise<Float32Array>,
): Promise<void> {
  const { control, slots } = open(memory)
  const width = memory.inputs / memory.rows
  // Runtimes do not take shared memory.
  const own = new Float32Array(memory.inputs)
  for (let answered = 0; ; answered++) {
    while (Atomics.load(control, ASKED) === (answered | 0)) Atomics.wait(control, ASKED, answered | 0)
    const at = answered & (SLOTS - 1)
    const rows = control[HEAD + at]
    if (rows === CLOSE) return
    const { input, output } = slots[at]
    own.set(input.subarray(0, rows * width))
    try {
      output.set(await run(own, rows))
    } catch (error) {
      control[HEAD + at] = FAILED
      writeText(output, error instanceof Error ? error.message : String(error))
    }
    Atomics.store(control, ANSWERED, (answered + 1) | 0)
    Atomics.notify(control, ANSWERED)
  }
}

/** A text in the place of numbers, cut to what there is room for: its length, then its bytes. */
function writeText(output: Float32Array, text: string): void {
  const bytes = new TextEncoder().encode(text).subarray(0, 4 * (output.length - 1))
  new Uint32Array(output.buffer, output.byteOffset, 1)[0] = bytes.length
  new Uint8Array(output.buffer, output.byteOffset + 4, bytes.length).set(bytes)
}

function readText(output: Float32Array): string {
  const [length] = new Uint32Array(output.buffer, output.byteOffset, 1)
  // Text is not decoded from shared memory.
  return new TextDecoder().decode(new Uint8Array(output.buffer, output.byteOffset + 4, length).slice())
}
