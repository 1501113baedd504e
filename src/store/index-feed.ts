import type { RecordIndex, RecordLine, RecordLog } from '../core/ports.ts'

/** Lines handed to an index at once. */
const BATCH = 2000

/**
 * Keeps an index up with an embedded record. What is appended is handed on as it comes, in the order of the appends;
 * once anything fails, of the record or of the index, the rest is read from the record until nothing is missing. An index
 * that fails holds nothing up: the record is what counts.
 */
export class IndexFeed {
  readonly #record: RecordLog
  readonly #index: RecordIndex
  readonly #onError: (error: unknown) => void
  #turn: Promise<void> = Promise.resolve()
  #turns = 0
  #last = 0
  #isBehind = false

  constructor(record: RecordLog, index: RecordIndex, onError: (error: unknown) => void) {
    this.#record = record
    this.#index = index
    this.#onError = onError
  }

  /** True while the record has lines that the index could not take. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** Reads what the index does not have yet; rejects as the record and the index do. */
  async catchUp(onLines?: (lastSeq: number) => void): Promise<void> {
    this.#last = (await this.#index.position()).get(0)?.seq ?? 0
    let lines: RecordLine[] = []
    const apply = async () => {
      if (lines.length === 0) return
      const { seq } = lines[lines.length - 1]
      // What the record does not have any more cannot be waited for.
      await this.#index.apply(lines, { partition: 0, offset: 0, afterGap: true })
      this.#last = seq
      lines = []
      onLines?.(seq)
    }
    for await (const line of this.#record.read(this.#last + 1)) {
      lines.push(line)
      if (lines.length === BATCH) await apply()
    }
    await apply()
  }

  /**
   * Appends lines to the record. Resolves to those that it did not have, once they are durable and the index has them or
   * has failed to take them; rejects as the record does.
   */
  async append(lines: readonly Omit<RecordLine, 'seq'>[]): Promise<readonly Omit<RecordLine, 'seq'>[]> {
    // All at once, in one turn of the loop: turns are in the order of the record.
    const appended = Promise.allSettled(
      lines.map(({ id, timeMs, entry }) => this.#record.append(id, timeMs, entry)),
    ).then(ended =>
      lines.filter((_, i) => {
        const one = ended[i]
        if (one.status === 'rejected') throw one.reason
        return one.value
      }),
    )
    this.#turns++
    this.#turn = this.#take(appended, this.#turn).finally(() => this.#turns--)
    await this.#turn
    return appended
  }

  async #take(appended: Promise<readonly Omit<RecordLine, 'seq'>[]>, before: Promise<void>): Promise<void> {
    const lines = await appended.catch(() => undefined)
    await before
    if (!lines) {
      // Some of them may be in the record: the next that can be appended finds them.
      this.#isBehind = true
      return
    }
    try {
      if (!this.#isBehind) {
        if (lines.length === 0) return
        const numbered = lines.map((line, i) => ({ ...line, seq: this.#last + 1 + i }))
        await this.#index.apply(numbered)
        this.#last += numbered.length
        return
      }
      await this.catchUp()
      // Appends that began meanwhile may be among what was just read: they read from the record too.
      if (this.#turns === 1) this.#isBehind = false
    } catch (error) {
      this.#isBehind = true
      this.#onError(error)
    }
  }
}
