import type { Socket } from 'node:net'
import type { ForeshockError } from '../../core/errors.ts'
import type { Answer } from '../answer.ts'
import type { Arriving } from '../body-room.ts'
import { rawProblem } from '../problems.ts'
import type { Admitted, HotFront } from './front.ts'
import { type HotHead, type KnownHead, knownHead, readHead, repeatedLength } from './head.ts'
import { answerBytes } from './wire.ts'

/** Ends a head. */
const BLANK_LINE = Buffer.from('\r\n\r\n')

/** How long a sender may take to close a connection after its last answer, ms. */
const LINGER_MS_MAX = 5000

/** A sender whose head is known, and who it is. */
interface Sender {
  readonly head: HotHead
  readonly known: KnownHead
  readonly admitted: Admitted
}

/**
 * One connection of a sender: its requests one after the other, each body read into memory that was lent for it. What is no
 * plain request of samples is handed over to Node's HTTP server, with all that was read of it, and so is the connection.
 */
export class HotConnection implements Arriving {
  readonly #front: HotFront
  readonly #socket: Socket
  #sender: Sender | undefined
  /** The body under way, and how much of it is there. */
  #body: Buffer | undefined
  #filled = 0
  /** Whether a request is being judged, processed or answered: what comes meanwhile waits. */
  #isBusy = false
  #isPaused = false
  /** Whether answers wait for the sender to read them. */
  #isUnread = false
  /** Read but not looked at yet. */
  #rest: Buffer | undefined
  #hasEnded = false
  #isClosing = false
  /** When this state began: of a request, else of waiting for one. ms, of the process. */
  #sinceMs = performance.now()
  #startedMs = 0
  #requests = 0

  constructor(front: HotFront, open: (connection: HotConnection) => Socket) {
    this.#front = front
    this.#socket = open(this)
    this.#socket.on('end', this.#onEnd)
    this.#socket.on('close', this.#onClose)
    this.#socket.on('error', ignore) // a sender that went away; `close` follows
  }

  /** Where the next bytes go: a body that has begun is read into its own memory. */
  readonly target = (): Buffer => {
    if (this.#body === undefined || this.#isBusy) return this.#front.scratch
    return this.#body.subarray(this.#filled)
  }

  /** Takes bytes that were read into a target; false when no more are to be read for now. */
  readonly take = (bytes: number, target: Uint8Array): boolean => {
    let goesOn = true
    if (target === this.#front.scratch) goesOn = this.#take(this.#front.scratch, bytes)
    // Else it is as long as what was missing: nothing behind the body was read.
    else if (this.#body !== undefined) this.#grow(this.#body, bytes)
    this.#isPaused = !goesOn
    return goesOn
  }

  /** Called every few seconds: cuts who is too slow, or has nothing to say any more. */
  look(nowMs: number): void {
    const ms = nowMs - this.#sinceMs
    const { keepAliveMs, requestMs } = this.#front.limits
    if (this.#isClosing) {
      if (ms > LINGER_MS_MAX) this.#socket.destroy()
    } else if (this.#isUnread) {
      if (ms > requestMs) this.#socket.destroy()
    } else if (this.#isBusy) return
    else if (this.#body === undefined && this.#requests > 0) {
      if (ms > keepAliveMs) this.#socket.destroy()
    } else if (ms > requestMs) this.#refuse(408, 'the request took too long to arrive')
  }

  /** The service stops: who waits for nothing is let go at once, everybody else when answered. */
  letGo(): void {
    if (!this.#isBusy && this.#body === undefined) this.#socket.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Bytes of the scratch memory or of what was kept from it; false when some were kept for later. */
  #take(bytes: Buffer, end: number): boolean {
    // A sender that was refused reads why once all that it sends is taken from it.
    if (this.#isClosing) return true
    if (this.#isBusy) return this.#keep(bytes, 0, end)
    let at = 0
    if (this.#body === undefined) {
      at = this.#begin(bytes, end)
      if (at < 0) return false
    }
    const body = this.#body as Buffer
    const to = Math.min(end, at + body.length - this.#filled)
    if (!this.#grow(body, bytes.copy(body, this.#filled, at, to))) return true
    return to === end || this.#keep(bytes, to, end)
  }

  /** So many bytes of the body more are there; whether it is whole now, and processed. */
  #grow(body: Buffer, bytes: number): boolean {
    this.#filled += bytes
    if (this.#filled < body.length) {
      this.#front.room.add(this, bytes)
      return false
    }
    this.#front.room.leave(this)
    this.#process(body)
    return true
  }

  /** The sender is told to come back; others may have what room it took. */
  giveUp(why: ForeshockError): void {
    const { head } = this.#sender as Sender
    const answer = this.#front.refusal(head, why)
    this.#front.record(head.path, answer.status, performance.now() - this.#startedMs)
    this.#end(answerBytes(answer, 0))
  }

  /** Reads a head; where its body begins, or -1 when there is something to wait for, or nothing more to do here. */
  #begin(bytes: Buffer, end: number): number {
    this.#startedMs = performance.now()
    this.#sinceMs = this.#startedMs
    const headEnd = bytes.indexOf(BLANK_LINE) + BLANK_LINE.length
    if (headEnd < BLANK_LINE.length || headEnd > end || this.#front.isStopping)
      return this.#handOver(bytes, end)
    const text = bytes.toString('latin1', 0, headEnd)
    const length = this.#sender && repeatedLength(text, this.#sender.known)
    if (length === undefined) {
      const head = readHead(text)
      if (head === undefined) return this.#handOver(bytes, end)
      this.#keep(bytes, 0, end)
      this.#isBusy = true
      this.#admit(head, text)
      return -1
    }
    if (length > this.#front.limits.bodyBytes) return this.#handOver(bytes, end)
    this.#body = this.#front.memory.lend(length)
    this.#filled = 0
    return headEnd
  }

  /** Looks who sends, once for all requests that begin alike. */
  async #admit(head: HotHead, text: string): Promise<void> {
    const admitted = await this.#front.admit(head)
    if (this.#socket.destroyed) return
    this.#isBusy = false
    const rest = this.#rest as Buffer
    this.#rest = undefined
    if (admitted === undefined) {
      this.#handOver(rest, rest.length)
      return
    }
    this.#sender = { head, known: knownHead(text, head), admitted }
    this.#goOn(rest)
  }

  #process(body: Buffer): void {
    const { head, admitted } = this.#sender as Sender
    this.#isBusy = true
    this.#requests++
    this.#front
      .ingest(head, admitted, body)
      .then(answer => this.#answer(head, answer))
      .catch(error => this.#socket.destroy(error)) // an answer that cannot be made
  }

  #answer({ path }: HotHead, answer: Answer): void {
    this.#body = undefined
    this.#front.record(path, answer.status, performance.now() - this.#startedMs)
    if (this.#socket.destroyed) return
    const isLast = this.#front.isStopping || (this.#hasEnded && this.#rest === undefined)
    const isTaken = this.#socket.write(
      answerBytes(answer, isLast ? 0 : this.#front.limits.keepAliveMs),
      'latin1',
    )
    if (isLast) this.#close()
    // Who reads no answers is asked nothing more.
    else if (isTaken) this.#next()
    else {
      this.#isUnread = true
      this.#sinceMs = performance.now()
      this.#socket.once('drain', () => this.#next())
    }
  }

  #next(): void {
    this.#isBusy = false
    this.#isUnread = false
    this.#sinceMs = performance.now()
    const rest = this.#rest
    this.#rest = undefined
    this.#goOn(rest)
  }

  /** Looks at what was kept, then reads on unless that has to wait again. */
  #goOn(rest: Buffer | undefined): void {
    if (rest !== undefined && !this.#take(rest, rest.length)) return
    if (this.#hasEnded) {
      if (!this.#isBusy) this.#endOf()
    } else if (this.#isPaused) {
      this.#isPaused = false
      this.#socket.resume()
    }
  }

  #keep(bytes: Buffer, from: number, to: number): false {
    const more = bytes.subarray(from, to)
    this.#rest = this.#rest === undefined ? Buffer.from(more) : Buffer.concat([this.#rest, more])
    return false
  }

  #handOver(bytes: Buffer, end: number): -1 {
    const read = Buffer.from(bytes.subarray(0, end))
    const socket = this.#socket
    this.#isBusy = true
    socket.off('end', this.#onEnd).off('close', this.#onClose).off('error', ignore)
    this.#front.connections.delete(this)
    // Not while the socket is being read.
    process.nextTick(() => this.#front.handOver(socket, read, this.#hasEnded))
    return -1
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    if (!this.#isBusy) this.#endOf()
  }

  /** The sender says nothing more: it has been answered, or broke off in the middle of a request. */
  #endOf(): void {
    if (this.#body === undefined) this.#close()
    else this.#refuse(400, 'this is not an HTTP/1.1 request that can be read')
  }

  #refuse(status: number, detail: string): void {
    this.#end(rawProblem(status, detail))
  }

  /** A last answer, to a request that did not arrive. The body's memory is lent to nobody: the socket may still read into it. */
  #end(answer: string | Buffer): void {
    this.#front.room.leave(this)
    this.#body = undefined
    this.#socket.write(answer, 'latin1')
    this.#close()
  }

  #close(): void {
    this.#isClosing = true
    this.#sinceMs = performance.now()
    this.#isBusy = true
    this.#socket.end()
  }

  readonly #onClose = (): void => {
    this.#front.room.leave(this)
    this.#front.connections.delete(this)
  }
}

function ignore(): void {}
