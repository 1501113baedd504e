import type { RecordEntry, RecordLine, RecordLog } from '../core/ports.ts'

/** The record of tests, replays and the lab: it lives as long as the process. */
export class MemoryRecord implements RecordLog {
  readonly #lines: RecordLine[] = []
  readonly #ids = new Set<string>()

  async append(id: string, timeMs: number, entry: RecordEntry): Promise<boolean> {
    if (this.#ids.has(id)) return false
    this.#ids.add(id)
    // Through JSON, as the files do it: what is read back is what was appended, whatever its owner does next.
    this.#lines.push({ seq: this.#lines.length + 1, timeMs, id, entry: JSON.parse(JSON.stringify(entry)) })
    return true
  }

  async *read(fromSeq = 1): AsyncGenerator<RecordLine> {
    const end = this.#lines.length
    for (let i = Math.max(0, fromSeq - 1); i < end; i++) yield this.#lines[i]
  }

  async close(): Promise<void> {}
}
