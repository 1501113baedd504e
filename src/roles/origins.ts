import { ForeshockError } from '../core/errors.ts'
import type { Snapshot } from '../core/snapshot.ts'

/** Where a message that was passed on comes from. */
export interface Origin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Of the messages that were made of it. */
  readonly n: number
}

const ORIGIN = /^([\w.-]{1,249})\/(\d{1,9})\/(\d{1,15})\/(\d{1,9})$/
/** Sources told apart; partitions of one or two topics. */
const SOURCES_MAX = 100_000

/** The text of HEADERS.origin. */
export function originText({ topic, partition, offset, n }: Origin): string {
  return `${topic}/${partition}/${offset}/${n}`
}

/** The reason when it is none. */
export function originOf(text: string): Origin | string {
  const found = ORIGIN.exec(text)
  if (!found) return `${JSON.stringify(text.slice(0, 100))} is no origin: topic/partition/offset/n`
  const [, topic, partition, offset, n] = found
  return { topic, partition: Number(partition), offset: Number(offset), n: Number(n) }
}

/**
 * The newest message passed on by each source partition: one that is not newer was passed on before, by an owner that was
 * restored or did not know that it was one no longer. Whoever passes on does so in order.
 */
export class Origins {
  readonly #last = new Map<string, readonly [offset: number, n: number]>()

  /** False when it was taken before, or there are too many sources. */
  take({ topic, partition, offset, n }: Origin): boolean {
    const source = `${topic}/${partition}`
    const last = this.#last.get(source)
    if (last === undefined && this.#last.size >= SOURCES_MAX) return false
    if (last !== undefined && (offset < last[0] || (offset === last[0] && n <= last[1]))) return false
    this.#last.set(source, [offset, n])
    return true
  }

  snapshot(): Snapshot[] {
    return [{ id: 'origins', version: 1, keys: [], columns: {}, meta: [...this.#last] }]
  }

  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === 'origins')
    if (!from) return
    if (from.version !== 1)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `origins v${from.version} cannot be read`)
    for (const [source, last] of from.meta as [string, [number, number]][]) this.#last.set(source, last)
  }
}
