import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../core/durable-file.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ModelOrder } from '../core/model.ts'
import { afterOrder, NO_STANDING, type OrderLine, type Standing } from '../core/model-standing.ts'

const FILE = 'ledger.json'
const FORMER = 'ledger-before.json'
/** The newest orders kept here; all of them are in the audit trail. */
const HISTORY_MAX = 1000
/** Removed versions remembered, so that a number never comes to mean something else. */
const REMOVED_MAX = 10_000

interface Pages {
  readonly format: 1
  readonly standings: Readonly<Record<string, Standing>>
  /** Oldest first. */
  readonly history: readonly OrderLine[]
  /** Ordered, but perhaps not carried out yet. */
  readonly pending: ModelOrder | null
  /** Package digest of removed versions by `model/version`. */
  readonly removed: Readonly<Record<string, string>>
}

const EMPTY: Pages = { format: 1, standings: {}, history: [], pending: null, removed: {} }

/**
 * Which version of each model has which part, and what was ordered when and by whom. Every change is a whole new file
 * before anybody sees it. An order is written down first, carried out, then settled: one that a crash cut short stands as
 * pending and is settled at the next start, as it may have been carried out. One call that writes at a time.
 */
export class ModelLedger {
  /** There was none: what scores is taken over as it is. */
  readonly isNew: boolean
  readonly #dir: string
  #pages: Pages

  private constructor(dir: string, pages: Pages | undefined) {
    this.#dir = dir
    this.isNew = pages === undefined
    this.#pages = pages ?? EMPTY
  }

  /** Reads what is there; a damaged ledger is told of and the one before it read. `dir` must exist. */
  static async open(dir: string, onWarning: (text: string) => void): Promise<ModelLedger> {
    for (const name of [FILE, FORMER]) {
      const text = await readFile(join(dir, name), 'utf8').catch(() => undefined)
      if (text === undefined) continue
      const pages = pagesOf(text)
      if (pages) return new ModelLedger(dir, pages)
      onWarning(`${join(dir, name)} cannot be read and is passed over`)
    }
    return new ModelLedger(dir, undefined)
  }

  standing(model: string): Standing {
    return Object.hasOwn(this.#pages.standings, model) ? this.#pages.standings[model] : NO_STANDING
  }

  /** Models that have or had a part. */
  models(): string[] {
    return Object.keys(this.#pages.standings)
  }

  /** Newest first. */
  history(model: string, limit: number): OrderLine[] {
    return this.#pages.history
      .filter(line => line.order.model === model)
      .slice(-limit)
      .reverse()
  }

  get pending(): ModelOrder | null {
    return this.#pages.pending
  }

  /** Package digest of a version that was removed. */
  removed(model: string, version: number): string | undefined {
    const name = `${model}/${version}`
    return Object.hasOwn(this.#pages.removed, name) ? this.#pages.removed[name] : undefined
  }

  /** Writes down what is about to be carried out. */
  async intend(order: ModelOrder): Promise<void> {
    await this.#write({ ...this.#pages, pending: order })
  }

  /** The pending order was not carried out. */
  async drop(): Promise<void> {
    await this.#write({ ...this.#pages, pending: null })
  }

  /** The pending order was carried out. */
  async settle(timeMs: number): Promise<void> {
    const order = this.#pages.pending
    if (!order) throw new ForeshockError('FS_ASSERTION', 'no order is pending')
    const next = afterOrder(this.standing(order.model), order)
    if (typeof next === 'string') return this.drop()
    const line: OrderLine = { time: new Date(timeMs).toISOString(), order, champion: next.champion }
    await this.#write({
      ...this.#pages,
      standings: { ...this.#pages.standings, [order.model]: next },
      history: [...this.#pages.history, line].slice(-HISTORY_MAX),
      pending: null,
    })
  }

  /** Takes over how a model stands. */
  async adopt(model: string, standing: Standing): Promise<void> {
    await this.#write({ ...this.#pages, standings: { ...this.#pages.standings, [model]: standing } })
  }

  async rememberRemoved(model: string, version: number, digest: string): Promise<void> {
    const name = `${model}/${version}`
    const others = Object.entries(this.#pages.removed).filter(([other]) => other !== name)
    const kept = [...others, [name, digest] as const].slice(-REMOVED_MAX)
    await this.#write({ ...this.#pages, removed: Object.fromEntries(kept) })
  }

  async #write(pages: Pages): Promise<void> {
    const path = join(this.#dir, FILE)
    // Only against damage by others: a crash while the new one is written leaves the old one where it is.
    await copyFile(path, join(this.#dir, FORMER)).catch(() => {})
    await replaceFile(path, Buffer.from(`${JSON.stringify(pages, null, 1)}\n`))
    this.#pages = pages
  }
}

function pagesOf(text: string): Pages | undefined {
  try {
    const pages = JSON.parse(text) as Pages
    const isWhole =
      pages.format === 1 &&
      typeof pages.standings === 'object' &&
      Array.isArray(pages.history) &&
      typeof pages.removed === 'object'
    return isWhole ? pages : undefined
  } catch {
    return undefined
  }
}
