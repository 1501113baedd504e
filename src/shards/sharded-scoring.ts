import { getHeapStatistics } from 'node:v8'
import type { Config } from '../config/schema.ts'
import type { Anomaly } from '../core/anomaly.ts'
import { type FeatureBatch, featureBatch, type OpinionBatch, opinionBatch } from '../core/batch.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import { entityKey } from '../core/entity-key.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ModelOrder, ModelState, PairObserver } from '../core/model.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange, ScoredBatch, Scoring, ScoringBeside, WorkerUse } from '../core/stages.ts'
import { textHash } from '../core/text-dictionary.ts'
import { SLOTS } from './memory.ts'
import { alertingOf, detectorsOf, modelsOf, poolOf, profileUseOf } from './reports.ts'
import { Shard } from './shard.ts'
import { ShardMap } from './shard-map.ts'
import { changed } from './wait.ts'
import type { FromShard, SentPart, ShardCall, ShardReport, ToldSeries } from './words.ts'

const SERIES_ID = 'series'
const HISTORY_ID = 'history'
/** Rows of a batch of windows: see `WINDOW_DEFAULTS.batchRows`. */
const BATCH_ROWS = 65_536

export interface ShardedOptions {
  readonly config: Config
  readonly workers: number
  /** Where packages of learned models lie, the first that has one; undefined where none can score. */
  readonly modelFolders?: readonly string[] | undefined
  readonly observe?: PairObserver | undefined
  readonly onWarning: (text: string) => void
  /** A worker has ended by itself: nothing can be scored any more. */
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

/** A batch on its way. */
interface Given {
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  /** By worker: its turn, −1 where no row is its own, and the rows' places in the batch. */
  readonly turns: number[]
  readonly places: readonly Uint32Array[]
  readonly lengths: number[]
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
  readonly #ring: Given[] = []
  /** Batches given and taken. */
  #given = 0
  #taken = 0
  readonly #anomalies = new Map<string, Anomaly>()
  readonly #reports: (ShardReport | undefined)[]
  #digests: Record<string, string> = {}
  /** 1: a series that everything looks at. */
  #rich = new Uint8Array(0)
  #isLost = false
  #isClosing = false

  constructor(options: ShardedOptions, context: { readonly series: SeriesTable; readonly history: History }) {
    const { workers, config, modelFolders } = options
    const heapMegabytes = options.heapMegabytes ?? getHeapStatistics().heap_size_limit / 1_048_576
    this.#options = options
    this.#series = context.series
    this.#history = context.history
    this.#map = new ShardMap(workers)
    this.#reports = Array.from({ length: workers }, () => undefined)
    this.#shards = Array.from({ length: workers }, (_, shard) => {
      const data = { config, shard, shards: workers, modelFolders }
      return new Shard(data, { rows: BATCH_ROWS, heapMegabytes }, this.#bell.buffer as SharedArrayBuffer, {
        aside: word => {
          if (word.kind === 'warning') options.onWarning(word.text)
          else
            options.observe?.({
              ...word.pair,
              series: word.pair.series.map(row => this.#map.seriesAt(shard, row)),
            })
        },
        said: word => this.#hear(shard, word),
        lost: reason => this.#lose(shard, reason),
      })
    })
    for (let slot = 0; slot < SLOTS; slot++) this.#ring.push(givenOf(this.#shards))
  }

  get hasRoom(): boolean {
    return this.#given - this.#taken < SLOTS && this.#shards.every(shard => shard.hasRoom)
  }

  give(batch: FeatureBatch, weight: Float32Array): void {
    if (batch.width !== 0) throw new ForeshockError('FS_ASSERTION', 'workers score no feature vectors')
    const given = this.#ring[this.#given++ & (SLOTS - 1)]
    if (this.#shards.length === 1) {
      this.#giveWhole(given, batch, weight)
      return
    }
    copyBatch(batch, given.batch)
    given.lengths.fill(0)
    const told = this.#route(batch, given)
    for (const [s, shard] of this.#shards.entries()) {
      given.turns[s] = -1
      const rows = given.lengths[s]
      if (rows === 0) continue
      this.#map.fill(batch, weight, given.places[s], rows, shard.slot)
      given.turns[s] = shard.give(rows, told[s])
    }
  }

  #giveWhole(given: Given, batch: FeatureBatch, weight: Float32Array): void {
    const [shard] = this.#shards
    const fresh = this.#map.fresh(batch)
    const { slot } = shard
    copyBatch(batch, slot.batch)
    slot.weight.set(weight.subarray(0, batch.length))
    given.turns[0] = shard.give(batch.length, fresh.length > 0 ? this.#tell(fresh, fresh) : undefined)
  }

  /** Whose rows are whose, and what each worker is to be told of first. */
  #route(batch: FeatureBatch, { places, lengths }: Given): (ToldSeries | undefined)[] {
    const map = this.#map
    const fresh = map.fresh(batch)
    const told = this.#shards.map(() => [] as number[])
    for (const row of fresh) told[map.join(row, this.#ownerOf(this.#series.meta(row)))].push(row)
    const { length, series } = batch
    for (let i = 0; i < length; i++) {
      const s = map.shardOf(series[i])
      places[s][lengths[s]++] = i
    }
    return told.map(rows =>
      rows.length === 0
        ? undefined
        : this.#tell(
            rows,
            rows.map(row => map.ownRow(row)),
          ),
    )
  }

  #ownerOf({ tenant, entity }: SeriesMeta): number {
    return textHash(entityKey(tenant, entity)) % this.#shards.length
  }

  #tell(series: readonly number[], rows: readonly number[]): ToldSeries {
    const metas = JSON.stringify(series.map(row => this.#series.meta(row)))
    return { rows: Uint32Array.from(rows), series: Uint32Array.from(series), metas }
  }

  take(): ScoredBatch | undefined {
    if (this.#taken === this.#given) return undefined
    const given = this.#ring[this.#taken & (SLOTS - 1)]
    const { turns } = given
    for (const [s, shard] of this.#shards.entries())
      if (turns[s] >= 0 && !shard.isJudged(turns[s])) return undefined
    this.#taken++
    const changes: AnomalyChange[] = []
    for (const [s, shard] of this.#shards.entries()) {
      if (turns[s] < 0) continue
      const word = shard.take(turns[s])
      if (word) for (const change of this.#hear(s, word)) changes.push(change)
    }
    if (this.#shards.length === 1) {
      const { batch, opinions } = this.#shards[0].slotOf(turns[0])
      opinions.length = batch.length
      return { batch, opinions, changes }
    }
    const { batch, opinions } = given
    opinions.length = batch.length
    for (const [s, shard] of this.#shards.entries())
      if (turns[s] >= 0) scatter(shard.slotOf(turns[s]).opinions, given.places[s], given.lengths[s], opinions)
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

  /** What a worker said beside opinions, with the rows of the series table. */
  #hear(shard: number, word: FromShard): readonly AnomalyChange[] {
    if (word.report) this.#reports[shard] = word.report
    if (word.digests) this.#digests = { ...this.#digests, ...word.digests }
    if (word.moves) this.#move(shard, word.moves)
    const changes = (word.changes ?? []).map(({ event, anomaly }) => ({
      event,
      anomaly: this.#global(anomaly),
    }))
    for (const { event, anomaly } of changes) {
      if (event === 'closed') this.#anomalies.delete(anomaly.id)
      else this.#anomalies.set(anomaly.id, anomaly)
    }
    return changes
  }

  #global(anomaly: Anomaly): Anomaly {
    if (this.#shards.length === 1) return anomaly
    return { ...anomaly, series: this.#series.row(anomaly.key) }
  }

  #move(shard: number, moves: Int32Array): void {
    for (const move of moves) {
      const row = this.#map.seriesAt(shard, Math.abs(move) - 1)
      if (row < 0) continue
      if (row >= this.#rich.length) {
        const longer = new Uint8Array(Math.max(1024, row + 1 + (row >> 1)))
        longer.set(this.#rich)
        this.#rich = longer
      }
      this.#rich[row] = move > 0 ? 1 : 0
      if (move < 0) this.#history.forget(row)
    }
  }

  /** Whether everything looks at a series, where only some are looked at so. */
  isRich(row: number): boolean {
    return this.#rich[row] === 1
  }

  forget(series: number): void {
    const place = this.#map.leave(series)
    if (place === undefined) return
    this.#shards[place.shard].forget(place.row)
    if (series < this.#rich.length) this.#rich[series] = 0
  }

  review(windowEndMs: number, importance: () => ReadonlyMap<string, number>): void {
    const call: ShardCall = { op: 'review', windowEndMs, importance: [...importance()] }
    for (const shard of this.#shards) shard.tell(call)
  }

  /** Workers that do not agree cannot go on: each would score by something else. */
  async order(order: ModelOrder): Promise<string | undefined> {
    const history = sent(this.#history.snapshot())
    const turns = this.#shards.map(shard => shard.ask({ op: 'order', order, history }))
    const words = await Promise.all(this.#shards.map((shard, s) => shard.answered(turns[s])))
    for (const [s, word] of words.entries()) this.#hear(s, word)
    const refused = words.flatMap(word => word.refused ?? [])
    if (refused.length === 0) return undefined
    if (refused.length < words.length)
      this.#lose(0, `an order of models was followed by some only: ${refused[0]}`)
    return refused[0]
  }

  letGo(): void {
    this.#anomalies.clear()
    for (const shard of this.#shards) shard.tell({ op: 'let-go' })
  }

  reopen(): void {
    for (const shard of this.#shards) shard.tell({ op: 'reopen' })
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
      return count === 1 ? parts : parts.map(part => ({ ...part, id: `shard${s}/${count}:${part.id}` }))
    })
  }

  cut(cut: Cut): CutSnapshot[] {
    const cuts = this.#shards.map(shard => shard.cut())
    const count = this.#shards.length
    return this.#shards.flatMap((shard, s) => {
      const { turn, source } = cuts[s]
      const parts = source.parts(shard.answer(turn).cut ?? [])
      cut.add(source)
      return count === 1 ? parts : parts.map(part => ({ ...part, id: `shard${s}/${count}:${part.id}` }))
    })
  }

  restore(parts: readonly Snapshot[]): void {
    const table = parts.find(({ id }) => id === SERIES_ID)
    if (!table) throw new ForeshockError('FS_SNAPSHOT_INVALID', 'the checkpoint holds no series table')
    const count = this.#shards.length
    const sharded = new Set(parts.flatMap(({ id }) => /^shard\d+\/(\d+):/.exec(id)?.[1] ?? []))
    const isForeign = sharded.size > 0 && !sharded.has(String(count))
    if (isForeign)
      this.#options.onWarning(
        `what ${[...sharded][0]} workers had learned cannot be divided among ${count}: detectors learn anew`,
      )
    const listed = new Set([...this.#options.listed.snapshot().map(({ id }) => id), HISTORY_ID])
    const past = parts.filter(({ id }) => id === HISTORY_ID)
    const own = (s: number): readonly Snapshot[] => {
      if (isForeign) return past
      if (sharded.size === 0) return parts.filter(({ id }) => listed.has(id))
      const prefix = `shard${s}/${count}:`
      const saved = parts.filter(({ id }) => id.startsWith(prefix))
      return [...past, ...saved.map(part => renamed(part, part.id.slice(prefix.length)))]
    }
    const told = this.#tellAll()
    const turns = this.#shards.map((shard, s) => {
      const given = own(s)
      const call = { op: 'restore', table: { ...table, keys: [] }, parts: given.map(sent) } as const
      return shard.ask(call, told[s], count === 1 ? buffersOf(given) : [])
    })
    try {
      for (const [s, shard] of this.#shards.entries()) {
        const word = shard.answer(turns[s])
        this.#hear(s, word)
        for (const anomaly of word.anomalies ?? []) this.#anomalies.set(anomaly.id, this.#global(anomaly))
      }
    } catch (error) {
      void this.close()
      throw error
    }
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

  get #known(): readonly ShardReport[] {
    return this.#reports.flatMap(report => report ?? [])
  }

  get detectors() {
    const known = this.#known
    return known.length === 0 ? this.#options.listed.detectors : detectorsOf(known)
  }

  anomalies(): readonly Anomaly[] {
    return [...this.#anomalies.values()]
  }

  pool() {
    return poolOf(this.#known)
  }

  alerting() {
    const known = this.#known
    return known.length === 0 ? this.#options.listed.alerting?.() : alertingOf(known)
  }

  profileUse() {
    return profileUseOf(this.#known)
  }

  models(): readonly ModelState[] {
    return modelsOf(this.#known)
  }

  /** Digests of the versions that speak now, and of those among `names` that did. */
  digests(names: Iterable<string>): Readonly<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const { champion, challenger, model } of this.models())
      for (const version of [champion, challenger?.mode === 'canary' ? challenger : null])
        if (version && version.problem === undefined) found[`${model}@${version.version}`] = version.digest
    for (const name of names) if (this.#digests[name] !== undefined) found[name] = this.#digests[name]
    return found
  }

  workers(): readonly WorkerUse[] {
    return this.#shards.map((shard, s) => {
      const { series = 0, rows = 0, busySeconds = 0 } = this.#reports[s] ?? {}
      return { series, rows, busySeconds, waiting: shard.waiting }
    })
  }

  bytes(): number {
    const shards = this.#shards.reduce(
      (sum, shard) => sum + shard.bytes(),
      this.#map.bytes() + this.#rich.byteLength,
    )
    return this.#known.reduce((sum, { bytes }) => sum + bytes, shards)
  }
}

function givenOf(shards: readonly Shard[]): Given {
  const rows = shards.length === 1 ? 0 : BATCH_ROWS
  return {
    batch: featureBatch(rows, 0),
    opinions: opinionBatch(rows),
    turns: shards.map(() => -1),
    places: shards.map(() => new Uint32Array(rows)),
    lengths: shards.map(() => 0),
  }
}

function copyBatch(from: FeatureBatch, to: FeatureBatch): void {
  const { length } = from
  to.length = length
  to.series.set(from.series.subarray(0, length))
  to.windowEndMs.set(from.windowEndMs.subarray(0, length))
  to.observed.set(from.observed.subarray(0, length))
  to.coverage.set(from.coverage.subarray(0, length))
}

/** What was said of some rows of a batch, to their places in it. */
function scatter(from: OpinionBatch, places: Uint32Array, length: number, to: OpinionBatch): void {
  for (let i = 0; i < length; i++) {
    const at = places[i]
    to.surprise[at] = from.surprise[i]
    to.point[at] = from.point[i]
    to.incident[at] = from.incident[i]
    to.score[at] = from.score[i]
    to.expected[at] = from.expected[i]
    to.lower[at] = from.lower[i]
    to.upper[at] = from.upper[i]
    to.evidence[at] = from.evidence[i]
    to.direction[at] = from.direction[i]
    to.strongest[at] = from.strongest[i]
  }
}

/** Memory of parts that nobody else has, nor wants: history is wanted by two. */
function buffersOf(parts: readonly Snapshot[]): ArrayBuffer[] {
  const buffers = parts
    .filter(({ id, isGiven }) => isGiven && id !== HISTORY_ID)
    .flatMap(({ columns }) => Object.values(columns))
    .filter(({ byteLength, buffer }) => byteLength === buffer.byteLength && buffer instanceof ArrayBuffer)
    .map(({ buffer }) => buffer as ArrayBuffer)
  return [...new Set(buffers)]
}

/** A part as it crosses: keys are made only where nothing else names the rows. */
function sent(part: Snapshot): SentPart {
  const { id, version, rows, columns, meta } = part
  return rows === undefined
    ? { id, version, keys: part.keys, columns, meta }
    : { id, version, keys: [], rows, columns, meta }
}

function renamed(part: Snapshot, id: string): Snapshot {
  return Object.defineProperties({ ...sent(part), id }, { keys: { get: () => part.keys } }) as Snapshot
}
