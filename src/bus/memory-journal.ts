import type { Envelope } from '../core/envelope.ts'
import type { Journal, Position } from '../core/ports.ts'

/** The journal of tests, replays and the lab: it lives as long as the process. */
export class MemoryJournal implements Journal {
  #entries: { position: Position; envelope: Envelope }[] = []
  #end: Position = 0

  get end(): Position {
    return this.#end
  }

  append(envelope: Envelope): Position {
    this.#entries.push({
      position: ++this.#end,
      envelope: { ...envelope, bytes: new Uint8Array(envelope.bytes) },
    })
    return this.#end
  }

  async sync(_position: Position): Promise<void> {}

  async *read(after: Position): AsyncGenerator<{ position: Position; envelope: Envelope }> {
    for (const entry of [...this.#entries]) if (entry.position > after) yield entry
  }

  async commit(position: Position): Promise<void> {
    this.#entries = this.#entries.filter(entry => entry.position > position)
  }

  async close(): Promise<void> {}
}
