import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads'
import { type ErrorCode, ForeshockError } from '../core/errors.ts'
import { changed } from '../core/shared-word.ts'
import { startThread } from '../detectors/model-module.ts'
import { CutReceiver } from './cut-receiver.ts'
import {
  ASKED,
  BATCH,
  CALL,
  DONE,
  GONE,
  JUDGED,
  KIND,
  LENGTH,
  openMemory,
  SAID,
  type ShardMemory,
  SLOTS,
  type Slot,
  shardMemory,
  TOLD,
  wordOf,
} from './memory.ts'
import { Patience } from './patience.ts'
import type { Aside, FromShard, ShardCall, ShardData, ToldSeries, ToShard } from './words.ts'

/** While it stands still it looks this often whether the worker is still there, ms. */
const LOOK_MS = 100
/** Why a thread is no more that could not say so. */
const ENDED_UNSAID =
  'its thread ended without a word, as one does that runs out of memory or is ended from outside'
/** How long a worker may take to end by itself, ms. */
const CLOSE_MS = 2000

export interface ShardLimits {
  /** The most of a batch. */
  readonly rows: number
  /** JavaScript heap of the worker, MB. */
  readonly heapMegabytes: number
  /** A worker that has turns to take and finishes none for so long is taken for hung, ms. */
  readonly patienceMs: number
}

export interface ShardEvents {
  aside(word: Aside): void
  /** What a call brought that nobody waited for. */
  said(word: FromShard): void
  /** The thread ended by itself, or hangs: what it knew since the last checkpoint is lost with it. */
  lost(reason: string): void
}

/** The main thread's end of one worker. */
export class Shard {
  readonly #memory: ShardMemory
  readonly #control: Int32Array
  readonly #bell: Int32Array
  readonly #slots: readonly Slot[]
  readonly #data: Omit<ShardData, 'memory'>
  readonly #events: ShardEvents
  readonly #limits: ShardLimits
  readonly #patience: Patience
  readonly #module: string | URL
  #looks: NodeJS.Timeout | undefined
  #worker: Worker | undefined
  #port: MessagePort | undefined
  #cutPort: MessagePort | undefined
  #cuts = 0
  #asked = 0
  #taken = 0
  #forgotten: number[] = []
  #failure: string | undefined
  #isClosed = false
  #isWatched = false

  /** `module`: what the thread starts with, as `startThread` names it. */
  constructor(
    data: Omit<ShardData, 'memory'>,
    limits: ShardLimits,
    bell: SharedArrayBuffer,
    events: ShardEvents,
    module: string | URL = '../shards/shard-worker',
  ) {
    this.#memory = shardMemory(limits.rows, bell)
    const { control, bell: word, slots } = openMemory(this.#memory)
    this.#control = control
    this.#bell = word
    this.#slots = slots
    this.#data = data
    this.#limits = limits
    this.#patience = new Patience(limits.patienceMs)
    this.#module = module
    this.#events = events
  }

  /** Whether the slot of the next turn is free. */
  get hasRoom(): boolean {
    this.#check()
    this.#absorb()
    return this.#asked - this.#turns(DONE) < SLOTS
  }

  /** Turns that wait or are in work. */
  get waiting(): number {
    return this.#asked - this.#turns(DONE)
  }

  /** The slot of the next turn, to be filled while there is room. */
  get slot(): Slot {
    return this.#slots[this.#asked & (SLOTS - 1)]
  }

  bytes(): number {
    return this.#memory.shared.byteLength
  }

  /** An own row is given back before the next turn. */
  forget(row: number): void {
    this.#forgotten.push(row)
  }

  /** Asks for the batch that was put into `slot`. */
  give(rows: number, told: ToldSeries | undefined): number {
    return this.#ask(BATCH, rows, told, undefined)
  }

  /** Asks for a call that nobody waits for. */
  tell(call: ShardCall): void {
    this.#ask(CALL, 0, undefined, call)
  }

  /** Asks for a call; `answer` waits for it. `transfer`: memory that is given away with it. */
  ask(call: ShardCall, told?: ToldSeries, transfer: readonly ArrayBuffer[] = []): number {
    return this.#ask(CALL, 0, told, call, transfer)
  }

  /** Waits standing still. Throws what the call failed for. */
  answer(turn: number): FromShard {
    while (this.#turns(DONE) <= turn) {
      const seen = Atomics.load(this.#control, DONE)
      if (this.#hasEnded()) this.#lost(ENDED_UNSAID)
      this.#look()
      this.#check()
      if (this.#turns(DONE) <= turn) Atomics.wait(this.#control, DONE, seen, LOOK_MS)
    }
    return this.#answerOf(turn)
  }

  /** As `answer`, while others go on. */
  async answered(turn: number): Promise<FromShard> {
    while (this.#turns(DONE) <= turn) {
      const seen = Atomics.load(this.#bell, 0)
      this.#check()
      if (this.#turns(DONE) > turn) break
      this.#worker?.ref()
      await changed(this.#bell, 0, seen)
      this.#worker?.unref()
    }
    return this.#answerOf(turn)
  }

  #answerOf(turn: number): FromShard {
    this.#absorb(turn)
    this.#watch()
    const word = this.#pull(turn) ?? {}
    this.#taken = turn + 1
    if (word.failed)
      throw new ForeshockError((word.failed.code ?? 'FS_ASSERTION') as ErrorCode, word.failed.message)
    return word
  }

  /** Opens a cut of what the worker has learned: its parts, and what brings their columns. */
  cut(): { readonly turn: number; readonly source: CutReceiver } {
    this.#check()
    this.#start()
    const number = ++this.#cuts
    const source = new CutReceiver(this.#control, this.#cutPort as MessagePort, number, () =>
      this.#hasEnded(),
    )
    return { turn: this.ask({ op: 'cut', number }), source }
  }

  /** Whether a batch is judged. */
  isJudged(turn: number): boolean {
    this.#check()
    return this.#turns(JUDGED) > turn
  }

  /** What was said of a batch that is judged, beside its opinions. Batches are taken in their order. */
  take(turn: number): FromShard | undefined {
    this.#absorb(turn)
    this.#watch()
    this.#taken = turn + 1
    return this.#pull(turn)
  }

  slotOf(turn: number): Slot {
    return this.#slots[turn & (SLOTS - 1)]
  }

  /** While true the program stays for its sake. */
  hold(isHeld: boolean): void {
    if (isHeld) this.#worker?.ref()
    else this.#worker?.unref()
  }

  async close(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined || this.#isClosed) return
    const gone = new Promise<void>(done => {
      const timer = setTimeout(done, CLOSE_MS)
      worker.once('exit', () => {
        clearTimeout(timer)
        done()
      })
    })
    if (this.#failure === undefined && this.#asked - this.#turns(DONE) < SLOTS) this.tell({ op: 'close' })
    this.#isClosed = true
    clearInterval(this.#looks)
    await gone
    await worker.terminate()
    this.#port?.close()
    this.#cutPort?.close()
  }

  #ask(
    kind: number,
    rows: number,
    told: ToldSeries | undefined,
    call: ShardCall | undefined,
    transfer: readonly ArrayBuffer[] = [],
  ): number {
    this.#check()
    this.#start()
    const turn = this.#asked
    const control = this.#control
    while (turn - this.#turns(DONE) >= SLOTS) {
      if (this.#hasEnded()) this.#lost(ENDED_UNSAID)
      this.#look()
      this.#check()
      Atomics.wait(control, DONE, Atomics.load(control, DONE), LOOK_MS)
    }
    this.#absorb()
    const word: ToShard = {
      ...(this.#forgotten.length > 0 ? { forgotten: this.#forgotten } : {}),
      ...(told ? { told } : {}),
      ...(call ? { call } : {}),
    }
    const hasWord = Object.keys(word).length > 0
    if (hasWord) this.#port?.postMessage(word, told ? [...transfer, told.metas.buffer] : [...transfer])
    this.#forgotten = []
    control[wordOf(turn, KIND)] = kind
    control[wordOf(turn, LENGTH)] = rows
    control[wordOf(turn, TOLD)] = hasWord ? 1 : 0
    this.#asked++
    Atomics.store(control, ASKED, this.#asked | 0)
    Atomics.notify(control, ASKED)
    return turn
  }

  /** Takes up what calls brought that nobody waits for, as far as they are done and come before `until`. */
  #absorb(until = this.#asked): void {
    const done = this.#turns(DONE)
    while (this.#taken < until && this.#taken < done) {
      if (this.#control[wordOf(this.#taken, KIND)] !== CALL) return
      const word = this.#pull(this.#taken++)
      if (word?.failed) this.#lost(word.failed.message)
      else if (word) this.#events.said(word)
    }
  }

  #pull(turn: number): FromShard | undefined {
    if (this.#control[wordOf(turn, SAID)] === 0 || this.#port === undefined) return undefined
    return receiveMessageOnPort(this.#port)?.message as FromShard
  }

  /** A count of turns, which the shared words hold modulo 2³². */
  #turns(place: number): number {
    return this.#asked - ((this.#asked - Atomics.load(this.#control, place)) | 0)
  }

  #start(): void {
    if (this.#worker) return
    const [turns, cuts] = [new MessageChannel(), new MessageChannel()]
    this.#port = turns.port1
    this.#cutPort = cuts.port1
    const data: ShardData = { ...this.#data, memory: this.#memory }
    const worker = startThread(this.#module, {
      workerData: { data, port: turns.port2, cutPort: cuts.port2 },
      transferList: [turns.port2, cuts.port2],
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.heapMegabytes },
    })
    this.#worker = worker
    worker.unref()
    worker.on('message', (word: Aside) => this.#events.aside(word))
    worker.on('error', (error: unknown) =>
      this.#lost(error instanceof Error ? (error.stack ?? error.message) : String(error)),
    )
    worker.on('exit', code => this.#lost(`its thread ended with ${code}`))
    this.#looks = setInterval(() => this.#look(), this.#patience.lookMs).unref()
  }

  /**
   * Asks once of a thread that answers how busy it is: Node remembers then when its event loop began, without which it says
   * of a thread that is no more the same as of one that has not begun.
   */
  #watch(): void {
    if (!this.#isWatched) this.#isWatched = (this.#worker?.performance.eventLoopUtilization().active ?? 0) > 0
  }

  /**
   * Whether the thread is no more, for who stands still and hears no event: one that was ended from outside, or ran out of
   * memory, cannot say so itself, but its event loop is then idle for −1 ms.
   */
  #hasEnded(): boolean {
    if (Atomics.load(this.#control, GONE) === 1) return true
    return this.#worker !== undefined && this.#worker.performance.eventLoopUtilization().idle < 0
  }

  /** Whether the worker goes on. */
  #look(): void {
    const done = this.#turns(JUDGED) + this.#turns(DONE)
    if (this.#patience.isOver(this.waiting > 0, done, performance.now()))
      this.#lost(`it hangs: nothing that it was asked for was done within ${this.#limits.patienceMs} ms`)
  }

  #lost(reason: string): void {
    if (this.#isClosed || this.#failure !== undefined) return
    clearInterval(this.#looks)
    this.#failure = reason
    // Whoever waits for it is to hear of it.
    Atomics.add(this.#bell, 0, 1)
    Atomics.notify(this.#bell, 0)
    this.#events.lost(reason)
  }

  #check(): void {
    if (this.#failure !== undefined)
      throw new ForeshockError('FS_WORKER_LOST', `worker ${this.#data.shard} has ended: ${this.#failure}`)
    if (this.#isClosed) throw new ForeshockError('FS_ASSERTION', 'scoring was closed')
  }
}
