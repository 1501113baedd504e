import { getHeapStatistics } from 'node:v8'
import type { Config } from '../config/schema.ts'
import type { Anomaly } from '../core/anomaly.ts'
import { BATCH_ROWS, type FeatureBatch } from '../core/batch.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import { entityKey } from '../core/entity-key.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ModelOrder, ModelState, PairObserver } from '../core/model.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import { changed } from '../core/shared-word.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange, ScoredBatch, Scoring, ScoringBeside, WorkerUse } from '../core/stages.ts'
import { textHash } from '../core/text-dictionary.ts'
import { BatchRing, type Taken } from './batch-ring.ts'
import { Heard } from './heard.ts'
import { SLOTS } from './memory.ts'
import { Shard } from './shard.ts'
import { ShardMap } from './shard-map.ts'
import { buffersOf, partsFor, prefixOf, savedBy, sent, undivided } from './shard-parts.ts'
import { toldSeries } from './told-series.ts'
import type { ToldSeries } from './words.ts'

export interface ShardedOptions {
  readonly config: Config
  readonly workers: number
  /** Where packages of learned models lie, the first that has one; undefined where none can score. */
  readonly modelFolders?: readonly string[] | undefined
  readonly observe?: PairObserver | undefined
  readonly onWarning: (text: string) => void
  /** A worker has ended by itself, or hangs: nothing can be scored any more. */
  readonly onLost: (error: Error) => void
  /** JavaScript heap of a worker, MB; as large as this thread's when left out. */
  readonly heapMegabytes?: number | undefined
  /** Scoring as it would be done here, without any series. */
  readonly listed: Scoring
}

interface History {
  forget(series: number): void
  snapshot(): Snapshot
}

/**
 * The scoring stage in threads of their own: each holds everything about the series of its entities, and is a whole scoring
 * stage. Rows cross in shared memory, a column a field; what is rare crosses as messages. Every worker takes its turns in
 * the order in which they were asked for, so that what comes out does not depend on how fast anybody is.
 */
export class ShardedScoring implements ScoringBeside {
  readonly depth = SLOTS
  readonly #options: ShardedOptions
  readonly #series: SeriesTable
  readonly #history: History
  readonly #shards: readonly Shard[]
  readonly #bell = new Int32Array(new SharedArrayBuffer(4))
  readonly #map: ShardMap
  readonly #ring: BatchRing
  readonly #heard: Heard
  #isLost = false
  #isClosing = false

  constructor(options: ShardedOptions, context: { readonly series: SeriesTable; readonly history: History }) {
    const { workers, config, modelFolders } = options
    const limits = {
      rows: BATCH_ROWS,
      heapMegabytes: options.heapMegabytes ?? getHeapStatistics().heap_size_limit / 1_048_576,
      patienceMs: config.detection.workerPatience,
    }
    this.#options = options
    this.#series = context.series
    this.#history = context.history
    this.#map = new ShardMap(workers)
    this.#heard = new Heard(workers, {
      series: context.series,
      map: this.#map,
      onPlain: row => context.history.forget(row),
      listed: options.listed,
    })
    this.#shards = Array.from({ length: workers }, (_, shard) => {
      const data = { config, shard, shards: workers, modelFolders }
      return new Shard(data, limits, this.#bell.buffer as SharedArrayBuffer, {
        aside: word => {
          if (word.kind === 'warning') options.onWarning(word.text)
          else
            options.observe?.({
              ...word.pair,
              series: word.pair.series.map(row => this.#map.seriesAt(shard, row)),
            })
        },
        said: word => void this.#heard.hear(shard, word),
        lost: reason => this.#lose(shard, reason),
      })
    })
    this.#ring = new BatchRing(this.#shards, {
      map: this.#map,
      ownerOf: row => this.#ownerOf(this.#series.meta(row)),
      tell: (series, rows) => this.#tell(series, rows),
    })
  }

  get hasRoom(): boolean {
    return this.#ring.hasRoom
  }

  begin(window: FeatureBatch): void {
    this.#ring.begin(window)
  }

  giving(batch: FeatureBatch, weight: Float32Array): Generator<void> {
    return this.#ring.giving(batch, weight)
  }

  #ownerOf({ tenant, entity }: SeriesMeta): number {
    return textHash(entityKey(tenant, entity)) % this.#shards.length
  }

  #tell(series: readonly number[], rows: readonly number[]): ToldSeries {
    return toldSeries(series, rows, row => this.#series.meta(row))
  }

  taking(): Generator<void, ScoredBatch> | undefined {
    const taking = this.#ring.taking()
    return taking && this.#hearing(taking)
  }

  *#hearing(taking: Generator<void, Taken>): Generator<void, ScoredBatch> {
    const { batch, opinions, words } = yield* taking
    const changes: AnomalyChange[] = []
    for (const [s, word] of words.entries())
      if (word) for (const change of this.#heard.hear(s, word)) changes.push(change)
    return { batch, opinions, changes }
  }

  mark(): number {
    return Atomics.load(this.#bell, 0)
  }

  async waitFor(mark: number): Promise<unknown> {
    const waiting = changed(this.#bell, 0, mark)
    if (waiting === undefined) return undefined
    // Whoever waits for shared words alone does not keep a program alive.
    for (const shard of this.#shards) shard.hold(true)
    try {
      return await waiting
    } finally {
      for (const shard of this.#shards) shard.hold(false)
    }
  }

  /** The first place from `from` on of a series that everything looks at, where only some are looked at so; `length` where none is. */
  nextRich(series: Uint32Array, from: number, length: number): number {
    return this.#heard.nextRich(series, from, length)
  }

  forget(series: number): void {
    const place = this.#map.leave(series)
    if (place === undefined) return
    this.#shards[place.shard].forget(place.row)
    this.#heard.forget(series)
  }

  review(windowEndMs: number, importance: () => ReadonlyMap<string, number>): void {
    const entities = [...importance()]
    const budgets = this.#heard.budgets.told()
    for (const [s, shard] of this.#shards.entries())
      shard.tell({ op: 'review', windowEndMs, importance: entities, budgets: budgets[s] })
  }

  /** Workers that do not agree cannot go on: each would score by something else. */
  async order(order: ModelOrder): Promise<string | undefined> {
    const history = sent(this.#history.snapshot())
    const turns = this.#shards.map(shard => shard.ask({ op: 'order', order, history }))
    const words = await Promise.all(this.#shards.map((shard, s) => shard.answered(turns[s])))
    for (const [s, word] of words.entries()) this.#heard.hear(s, word)
    const refused = words.flatMap(word => word.refused ?? [])
    if (refused.length === 0) return undefined
    if (refused.length < words.length)
      this.#lose(0, `an order of models was followed by some only: ${refused[0]}`)
    return refused[0]
  }

  letGo(): void {
    this.#heard.letGo()
    for (const shard of this.#shards) shard.tell({ op: 'let-go' })
  }

  async close(): Promise<void> {
    this.#isClosing = true
    await Promise.all(this.#shards.map(shard => shard.close()))
  }

  snapshot(): Snapshot[] {
    const turns = this.#shards.map(shard => shard.ask({ op: 'snapshot' }))
    const count = this.#shards.length
    return this.#shards.flatMap((shard, s) => {
      const parts = shard.answer(turns[s]).parts ?? []
      return count === 1 ? parts : parts.map(part => ({ ...part, id: prefixOf(s, count) + part.id }))
    })
  }

  cut(cut: Cut): CutSnapshot[] {
    const cuts = this.#shards.map(shard => shard.cut())
    const count = this.#shards.length
    return this.#shards.flatMap((shard, s) => {
      const { turn, source } = cuts[s]
      const parts = source.parts(shard.answer(turn).cut ?? [])
      cut.add(source)
      return count === 1 ? parts : parts.map(part => ({ ...part, id: prefixOf(s, count) + part.id }))
    })
  }

  restore(parts: readonly Snapshot[]): void {
    // The series table was put back before, into the same rows.
    const table = this.#series.snapshot()
    const count = this.#shards.length
    const by = savedBy(parts)
    const problem = undivided(parts, count)
    if (problem !== undefined) this.#options.onWarning(problem)
    const listed = new Set(this.#options.listed.snapshot().map(({ id }) => id))
    const told = this.#tellAll()
    const turns = this.#shards.map((shard, s) => {
      const given = partsFor(s, count, parts, listed)
      const call = {
        op: 'restore',
        table,
        parts: given.map(sent),
        isOwn: count === 1 || by === count,
      } as const
      return shard.ask(call, told[s], count === 1 ? buffersOf([{ ...table, isGiven: true }, ...given]) : [])
    })
    try {
      for (const [s, shard] of this.#shards.entries()) this.#heard.hear(s, shard.answer(turns[s]))
    } catch (error) {
      void this.close()
      throw error
    }
    for (const [s, budgets] of this.#heard.budgets.told().entries())
      if (budgets.length > 0) this.#shards[s].tell({ op: 'budgets', budgets })
  }

  /** Every series of a restored table finds its worker; one worker alone takes the table over as it is. */
  #tellAll(): (ToldSeries | undefined)[] {
    const all = this.#shards.map(() => [] as number[])
    for (const [row, meta] of this.#series.metas())
      all[this.#map.join(row, this.#shards.length === 1 ? 0 : this.#ownerOf(meta))].push(row)
    if (this.#shards.length === 1) return [undefined]
    return all.map(rows =>
      this.#tell(
        rows,
        rows.map(row => this.#map.ownRow(row)),
      ),
    )
  }

  #lose(shard: number, reason: string): void {
    if (this.#isLost || this.#isClosing) return
    this.#isLost = true
    this.#options.onLost(new ForeshockError('FS_WORKER_LOST', `worker ${shard} has ended: ${reason}`))
  }

  get detectors() {
    return this.#heard.detectors
  }

  anomalies(): readonly Anomaly[] {
    return this.#heard.anomalies()
  }

  pool() {
    return this.#heard.pool()
  }

  alerting() {
    return this.#heard.alerting()
  }

  profileUse() {
    return this.#heard.profileUse()
  }

  models(): readonly ModelState[] {
    return this.#heard.models()
  }

  digests(names: Iterable<string>): Readonly<Record<string, string>> {
    return this.#heard.digests(names)
  }

  workers(): readonly WorkerUse[] {
    return this.#shards.map((shard, s) => {
      const { series = 0, rows = 0, busySeconds = 0 } = this.#heard.reportOf(s) ?? {}
      return { series, rows, busySeconds, waiting: shard.waiting }
    })
  }

  bytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.bytes(), this.#map.bytes() + this.#heard.bytes())
  }
}
