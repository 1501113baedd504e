import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { historyOf } from '../assembly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { Cut, type CutSnapshot, settled } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { PairedScores } from '../core/model.ts'
import type { SeriesMeta } from '../core/series.ts'
import { savedMetas } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange, Scoring } from '../core/stages.ts'
import { ID as POLICY_ID, policyOfOthers } from '../detectors/alert-policy.ts'
import { openHost } from '../detectors/model-host.ts'
import { ModelShelf } from '../detectors/model-shelf.ts'
import { nextWhere } from '../features/history.ts'
import { assembleScoring } from '../scoring-assembly.ts'
import { ShardRows } from './shard-rows.ts'
import { shardShare } from './share.ts'
import { forEachTold } from './told-series.ts'
import { ToldTable } from './told-table.ts'
import type { Aside, FromShard, SentPart, ShardCall, ShardData, ShardReport, ToldSeries } from './words.ts'

/** Names of models that spoke, remembered to tell their digests. */
const NAMES_MAX = 64
const HISTORY_ID = 'history'
/** What parts have counted of all series since the start, as a worker has it that begins to count. */
const COUNTS: Readonly<Record<string, object>> = {
  tiers: { promotions: 0, demotions: 0 },
  'profile@1': { promotions: 0, demotions: 0 },
  pool: { counts: { admitted: 0, evicted: 0, refused: 0, cold: 0 } },
}

/** Everything that one worker does, apart from how it is asked. */
export class ShardScoring {
  readonly #data: ShardData
  readonly #series: ShardRows
  readonly #rich: ToldTable | undefined
  readonly #scoring: Scoring
  readonly #learned
  readonly #policy
  readonly #history
  readonly #hasPool: boolean
  readonly #names = new Set<string>()
  /** What is kept of the past is only looked at by the pool and by learned models. */
  #keepsHistory: boolean
  #rows = 0
  busyMs = 0

  /** `aside` hears what is told beside the turns. */
  constructor(data: ShardData, aside: (word: Aside) => void) {
    const { shard, shards } = data
    const config = shardShare(data.config, shard, shards)
    this.#data = data
    const { step: stepMs } = config.features
    const series = new ShardRows(config.ingest.maxSeries, shards === 1)
    this.#series = series
    const { richSeries } = config.detection
    const hasTiers = config.ingest.maxSeries > data.config.detection.richSeries
    const rich = hasTiers ? new ToldTable(series, richSeries) : undefined
    this.#rich = rich
    this.#history = historyOf(config, { series }, rich && nextWhere(row => rich.of(row) >= 0))
    this.#hasPool = config.detection.pool.size > 0
    this.#keepsHistory = this.#hasPool
    const warn = (text: string) => aside({ kind: 'warning', text })
    const observe = (pair: PairedScores) => aside({ kind: 'pair', pair: copyOf(pair) })
    const { scoring, learned, policy } = assembleScoring(
      config,
      { series, stepMs },
      this.#history,
      rich,
      warn,
      data.modelFolders && { openModel: shelfOf(data.modelFolders), observe },
    )
    this.#scoring = scoring
    this.#learned = learned
    // One worker alone has nobody to share with.
    this.#policy = shards > 1 ? policy : undefined
  }

  forget(rows: readonly number[]): void {
    for (const row of rows) {
      this.#scoring.forget(row)
      this.#history.forget(row)
      this.#series.forget(row)
    }
  }

  told(told: ToldSeries): void {
    forEachTold(told, (row, series, meta) => this.#series.put(row, series, meta))
  }

  /** Scores and judges a batch; undefined when there is nothing to say beside the opinions. */
  async judge(batch: FeatureBatch, opinions: OpinionBatch): Promise<FromShard | undefined> {
    const scoring = this.#scoring
    await scoring.score(batch, opinions)
    const changes = scoring.judge(batch, opinions)
    if (this.#keepsHistory) this.#history.record(batch, opinions)
    const others = this.#changed()
    const digests = this.#digests(changes)
    const word = {
      ...(changes.length > 0 ? { changes, ...(digests ? { digests } : {}) } : {}),
      ...others,
    }
    return Object.keys(word).length > 0 ? word : undefined
  }

  learn(batch: FeatureBatch, opinions: OpinionBatch, weight: Float32Array): void {
    this.#scoring.learn(batch, opinions, weight)
    this.#rows += batch.length
  }

  #digests(changes: readonly AnomalyChange[]): Readonly<Record<string, string>> | undefined {
    if (changes.length === 0 || !this.#learned || this.#learned.models().length === 0) return undefined
    for (const { anomaly } of changes)
      for (const { id } of anomaly.detectors) if (this.#names.size < NAMES_MAX) this.#names.add(id)
    return this.#learned.digests(this.#names)
  }

  /** What is learned, where it lies. */
  cut(cut: Cut): CutSnapshot[] {
    return this.#scoring.cut?.(cut) ?? this.#scoring.snapshot()
  }

  async call(call: Exclude<ShardCall, { readonly op: 'cut' }>): Promise<FromShard> {
    const scoring = this.#scoring
    switch (call.op) {
      case 'review':
        scoring.review(call.windowEndMs, () => new Map(call.importance))
        this.#policy?.hearOfBudgets(call.budgets)
        return { report: this.#report() }
      case 'window':
        scoring.begin(call.rows)
        return {}
      case 'budgets':
        this.#policy?.hearOfBudgets(call.budgets)
        return {}
      case 'order': {
        if (!this.#keepsHistory && call.history) {
          this.#named(() => this.#history.restore([keyedPart(call.history as SentPart)]))
          this.#keepsHistory = true
        }
        const refused = await scoring.order(call.order)
        return { ...(refused === undefined ? {} : { refused }), report: this.#report() }
      }
      case 'snapshot':
        return { parts: this.#snapshot() }
      case 'restore':
        this.#restore(call)
        return { report: this.#report(), anomalies: scoring.anomalies(), ...this.#changed() }
      case 'let-go':
        scoring.letGo()
        return {}
      case 'close':
        await scoring.close?.()
        return {}
    }
  }

  /** What others are to know beside the opinions of a batch. */
  #changed(): Pick<FromShard, 'moves' | 'budgets'> {
    const moves = this.#rich?.moves()
    const budgets = this.#policy?.budgetWords()
    return { ...(moves ? { moves } : {}), ...(budgets ? { budgets } : {}) }
  }

  #named<T>(work: () => T): T {
    return this.#data.shards === 1 ? work() : this.#series.whileNamed(work)
  }

  #report(): ShardReport {
    const scoring = this.#scoring
    return {
      detectors: scoring.detectors,
      pool: scoring.pool(),
      alerting: scoring.alerting?.(),
      profileUse: scoring.profileUse(),
      models: scoring.models(),
      bytes: scoring.bytes() + this.#series.bytes() + (this.#keepsHistory ? this.#history.bytes() : 0),
      series: this.#series.size,
      rows: this.#rows,
      busySeconds: this.busyMs / 1000,
    }
  }

  /** Copies, which the main thread takes over. */
  #snapshot(): Snapshot[] {
    const cut = new Cut()
    return settled(this.cut(cut), cut)
  }

  #restore({ table, parts: sent, isOwn }: Extract<ShardCall, { readonly op: 'restore' }>): void {
    const { shard, shards } = this.#data
    let metas: readonly (SeriesMeta | null)[] | undefined
    if (shards === 1) this.#series.restore({ ...table, isGiven: true })
    const keysOf = (row: number) => {
      if (shards === 1) return this.#series.key(row)
      metas ??= savedMetas(table).metas
      return metas[row]?.key ?? ''
    }
    const parts = sent.map(part => keyedPart(part, keysOf))
    this.#named(() => {
      this.#scoring.restore(isOwn ? parts : parts.map(part => this.#ownPart(part, shard)))
      this.#keepsHistory = this.#hasPool || this.#scoring.models().length > 0
      const past = parts.find(({ id }) => id === HISTORY_ID)
      if (past && this.#keepsHistory) this.#history.restore([past])
    })
    this.#rich?.tellAll()
  }

  /** What one thread had counted for all series is counted on by the first; who is open in another worker is no orphan here. */
  #ownPart(part: Snapshot, shard: number): Snapshot {
    const { keys: _, ...others } = part
    const withMeta = (meta: unknown) => withKeys({ ...others, meta }, () => part.keys)
    if (part.id.endsWith(POLICY_ID)) return shard === 0 ? part : withMeta(policyOfOthers(part.meta))
    const counts = shard === 0 ? undefined : COUNTS[part.id]
    if (counts !== undefined) return withMeta({ ...(part.meta as object), ...counts })
    if (!part.id.endsWith('hysteresis')) return part
    const { open, orphans, ...rest } = part.meta as {
      readonly open: readonly { readonly anomaly: { readonly key: string } }[]
      readonly orphans: readonly unknown[]
    }
    const own = open.filter(({ anomaly }) => this.#series.row(anomaly.key) >= 0)
    return withMeta({ ...rest, open: own, orphans: shard === 0 ? orphans : [] })
  }
}

function withKeys(part: Omit<Snapshot, 'keys'>, keys: () => readonly string[]): Snapshot {
  return Object.defineProperty({ ...part }, 'keys', { get: keys, enumerable: true }) as Snapshot
}

/** A part that names its rows by those of the series table, with their keys for whoever asks for them. */
function keyedPart(part: SentPart, keyOf: (row: number) => string = () => ''): Snapshot {
  const { rows } = part
  // Nobody else has the copies that came here.
  if (rows === undefined) return { ...part, isGiven: true }
  let keys: readonly string[] | undefined
  const { keys: _, ...rest } = part
  return withKeys({ ...rest, isGiven: true }, () => {
    keys ??=
      typeof rows === 'number'
        ? Array.from({ length: rows }, (_, row) => keyOf(row))
        : Array.from(rows, keyOf)
    return keys
  })
}

function copyOf(pair: PairedScores): PairedScores {
  const { length } = pair
  return {
    ...pair,
    series: pair.series.slice(0, length),
    championSurprise: pair.championSurprise.slice(0, length),
    challengerSurprise: pair.challengerSurprise.slice(0, length),
  }
}

/** Packages are opened here for this worker alone, each in a thread of its own as everywhere. */
function shelfOf(
  folders: readonly string[],
): (model: string, version: number, digest: string) => ReturnType<ModelShelf['take']> {
  let shelf: ModelShelf | undefined
  return (model, version, digest) => {
    shelf ??= new ModelShelf(openHost(), (name, number) => {
      const places = folders.map(folder => join(folder, name, String(number)))
      const found = places.find(existsSync) ?? places.at(-1)
      if (found === undefined)
        throw new ForeshockError('FS_MODEL_INVALID', 'no folder of models is configured')
      return found
    })
    return shelf.take(model, version, digest)
  }
}
