import { mkdir, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DisruptionEvent } from '../core/disruption.ts'
import { DurableFile, ioError, syncDirectory } from '../core/durable-file.ts'
import { ForeshockError } from '../core/errors.ts'
import { GroupCommit } from '../core/group-commit.ts'
import { SeenIds } from '../core/seen-ids.ts'

export interface Delivery {
  readonly event: DisruptionEvent
  /** When it was taken, Unix ms. */
  readonly atMs: number
  readonly attempts: number
  /** Not to be tried before, Unix ms. */
  readonly nextMs: number
  readonly error: string
}

export interface DeadLetter {
  readonly event: DisruptionEvent
  readonly atMs: number
  readonly attempts: number
  readonly deadMs: number
  readonly reason: string
}

type Line =
  | { readonly t: 'add'; readonly delivery: Delivery }
  | {
      readonly t: 'try'
      readonly id: string
      readonly attempts: number
      readonly nextMs: number
      readonly error: string
    }
  | { readonly t: 'done'; readonly id: string }
  | { readonly t: 'dead'; readonly letter: DeadLetter }
  | { readonly t: 'disabled'; readonly reason: string }

/** Events that may wait. */
const PENDING_MAX = 10_000
const DEAD_MAX = 1000
/** Delivered ids remembered, so that a replay sends nothing twice. */
const DONE_KEPT = 10_000
/** A file is written anew once it has grown by this much beyond twice what it was then, bytes. */
const SPARE_BYTES = 1_048_576

/** What one webhook still has to deliver, in a file of its own that survives a crash. */
export class DeliveryQueue {
  readonly #path: string
  readonly #group = new GroupCommit(() => this.#flush())
  readonly pending = new Map<string, Delivery>()
  readonly dead = new Map<string, DeadLetter>()
  #done: string[] = []
  readonly #known = new SeenIds(DONE_KEPT)
  /** Why the endpoint is no longer served; '' while it is. */
  #disabled = ''
  #file: DurableFile
  #lines: Line[] = []
  /** Bytes of the file when it held nothing but live lines. */
  #compactBytes = 0
  #rewrite = false

  private constructor(path: string, file: DurableFile) {
    this.#path = path
    this.#file = file
  }

  /** Throws FS_IO. Lines that a crash tore are dropped; they were never acknowledged. */
  static async open(path: string): Promise<DeliveryQueue> {
    await mkdir(dirname(path), { recursive: true }).catch(cause => {
      throw ioError(path, cause)
    })
    const text = await readFile(path, 'utf8').catch(cause => {
      if (cause.code === 'ENOENT') return ''
      throw ioError(path, cause)
    })
    const lines: Line[] = []
    let size = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', size)) {
      try {
        lines.push(JSON.parse(text.slice(size, end)))
      } catch {
        break
      }
      size = end + 1
    }
    const file = await DurableFile.open(path, Buffer.byteLength(text.slice(0, size)))
    await syncDirectory(dirname(path))
    const queue = new DeliveryQueue(path, file)
    for (const line of lines) queue.#apply(line)
    return queue
  }

  get disabled(): string {
    return this.#disabled
  }

  /** Resolves when durable; false when the event is known. Throws FS_OVERLOADED when too many wait, FS_IO. */
  async add(event: DisruptionEvent, atMs: number): Promise<boolean> {
    const { id } = event
    if (this.pending.has(id) || this.dead.has(id) || this.#known.has(id)) return false
    if (this.pending.size >= PENDING_MAX) {
      throw new ForeshockError('FS_OVERLOADED', `${PENDING_MAX} events wait in ${this.#path}`)
    }
    this.#write({ t: 'add', delivery: { event, atMs, attempts: 0, nextMs: atMs, error: '' } })
    try {
      await this.#group.commit()
    } catch (cause) {
      this.pending.delete(id)
      throw cause
    }
    return true
  }

  /** Puts the next attempt off. */
  failed(id: string, nextMs: number, error: string): void {
    const attempts = (this.pending.get(id)?.attempts ?? 0) + 1
    this.#later({ t: 'try', id, attempts, nextMs, error: error.slice(0, 300) })
  }

  delivered(id: string): void {
    this.#later({ t: 'done', id })
  }

  bury(id: string, deadMs: number, reason: string): void {
    const delivery = this.pending.get(id)
    if (!delivery) return
    const { event, atMs, attempts } = delivery
    this.#later({ t: 'dead', letter: { event, atMs, attempts, deadMs, reason } })
  }

  /** Puts a dead letter back in the queue. False when there is none of that id. */
  revive(id: string, nowMs: number): boolean {
    const letter = this.dead.get(id)
    if (!letter) return false
    this.#later({
      t: 'add',
      delivery: { event: letter.event, atMs: nowMs, attempts: 0, nextMs: nowMs, error: '' },
    })
    return true
  }

  disable(reason: string): void {
    this.#later({ t: 'disabled', reason })
  }

  /** Writes what waits. Throws FS_IO. */
  async close(): Promise<void> {
    try {
      await this.#group.commit()
    } finally {
      await this.#file.close()
    }
  }

  #later(line: Line): void {
    this.#write(line)
    this.#group.commit().catch(() => {}) // the state is written whole by the next commit that succeeds
  }

  #write(line: Line): void {
    this.#apply(line)
    this.#lines.push(line)
  }

  #apply(line: Line): void {
    switch (line.t) {
      case 'add':
        this.dead.delete(line.delivery.event.id)
        this.pending.set(line.delivery.event.id, line.delivery)
        break
      case 'try': {
        const { attempts, nextMs, error } = line
        const delivery = this.pending.get(line.id)
        if (delivery) this.pending.set(line.id, { ...delivery, attempts, nextMs, error })
        break
      }
      case 'done':
        this.pending.delete(line.id)
        this.#known.add(line.id)
        this.#done.push(line.id)
        if (this.#done.length > 2 * DONE_KEPT) this.#done = this.#done.slice(-DONE_KEPT)
        break
      case 'dead':
        this.pending.delete(line.letter.event.id)
        this.dead.set(line.letter.event.id, line.letter)
        for (const id of this.dead.keys()) {
          if (this.dead.size <= DEAD_MAX) break
          this.dead.delete(id)
        }
        break
      case 'disabled':
        this.#disabled = line.reason
    }
  }

  async #flush(): Promise<void> {
    const lines = this.#lines
    this.#lines = []
    try {
      if (this.#rewrite || this.#file.size > SPARE_BYTES + 2 * this.#compactBytes)
        return await this.#writeAnew()
      await this.#file.append(lines.map(encoded))
    } catch (cause) {
      this.#rewrite = true
      throw cause
    }
  }

  async #writeAnew(): Promise<void> {
    const lines: Line[] = this.#done.slice(-DONE_KEPT).map(id => ({ t: 'done', id }))
    for (const letter of this.dead.values()) lines.push({ t: 'dead', letter })
    for (const delivery of this.pending.values()) lines.push({ t: 'add', delivery })
    if (this.#disabled) lines.push({ t: 'disabled', reason: this.#disabled })
    const file = await DurableFile.open(`${this.#path}.tmp`, 0)
    try {
      await file.append(lines.map(encoded))
      await rename(`${this.#path}.tmp`, this.#path)
      await syncDirectory(dirname(this.#path))
    } catch (cause) {
      await file.close()
      throw cause instanceof ForeshockError ? cause : ioError(this.#path, cause)
    }
    const old = this.#file
    this.#file = file
    this.#compactBytes = file.size
    this.#rewrite = false
    await old.close()
  }
}

function encoded(line: Line): Buffer {
  return Buffer.from(`${JSON.stringify(line)}\n`)
}
