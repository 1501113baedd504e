import {
  type FeatureBatch,
  featureBatch,
  type OpinionBatch,
  opinionBatch,
  WHOLE_ROWS,
} from '../core/batch.ts'
import { ForeshockError } from '../core/errors.ts'
import { scatterOpinions } from '../core/scatter.ts'
import { SLOTS } from './memory.ts'
import type { Shard } from './shard.ts'
import type { ShardMap } from './shard-map.ts'
import type { FromShard, ToldSeries } from './words.ts'

/** By worker, places of its rows in a batch. */
interface Parts {
  readonly places: readonly Uint32Array[]
  readonly lengths: number[]
}

/** A batch on its way. */
interface Given extends Parts {
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  /** By worker: its turn, −1 where no row is its own. */
  readonly turns: number[]
}

/** A batch that all of its workers have judged, lent until the next is taken, and what they said beside it. */
export interface Taken {
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  /** By worker. */
  readonly words: readonly (FromShard | undefined)[]
}

/** Where series are scored, and how a worker hears of them. */
export interface Routes {
  readonly map: ShardMap
  ownerOf(row: number): number
  /** `rows`: the worker's own of these series. */
  tell(series: readonly number[], rows: readonly number[]): ToldSeries
}

/** Batches on their way through the workers, divided among them and put together again; the oldest is taken first. */
export class BatchRing {
  readonly #shards: readonly Shard[]
  readonly #routes: Routes
  readonly #ring: readonly Given[]
  #given = 0
  #taken = 0

  constructor(shards: readonly Shard[], routes: Routes) {
    this.#shards = shards
    this.#routes = routes
    this.#ring = Array.from({ length: SLOTS }, () => givenOf(shards, shards.length === 1 ? 0 : WHOLE_ROWS))
  }

  get hasRoom(): boolean {
    return this.#given - this.#taken < SLOTS && this.#shards.every(shard => shard.hasRoom)
  }

  /** Workers are to know all rows of a window before its batches come; each is told of its own. */
  begin(window: FeatureBatch): void {
    const isOne = this.#shards.length === 1
    const parts = partsOf(this.#shards, isOne ? 0 : window.length)
    const told = isOne ? [this.#freshOf(window)] : this.#divide(window, parts)
    for (const [s, shard] of this.#shards.entries()) {
      const length = isOne ? window.length : parts.lengths[s]
      const rows = featureBatch(length, 0)
      if (isOne) copyBatch(window, rows)
      else this.#routes.map.fillRows(window, parts.places[s], length, rows)
      const columns = [rows.series, rows.windowEndMs, rows.observed, rows.coverage]
      shard.ask(
        { op: 'window', rows },
        told[s],
        columns.map(({ buffer }) => buffer as ArrayBuffer),
      )
    }
  }

  #freshOf(batch: FeatureBatch): ToldSeries | undefined {
    const fresh = this.#routes.map.fresh(batch)
    return fresh.length > 0 ? this.#routes.tell(fresh, fresh) : undefined
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
    const told = this.#divide(batch, given)
    for (const [s, shard] of this.#shards.entries()) {
      given.turns[s] = -1
      const rows = given.lengths[s]
      if (rows === 0) continue
      this.#routes.map.fill(batch, weight, given.places[s], rows, shard.slot)
      given.turns[s] = shard.give(rows, told[s])
    }
  }

  #giveWhole(given: Given, batch: FeatureBatch, weight: Float32Array): void {
    const [shard] = this.#shards
    const told = this.#freshOf(batch)
    const { slot } = shard
    copyBatch(batch, slot.batch)
    slot.weight.set(weight.subarray(0, batch.length))
    given.turns[0] = shard.give(batch.length, told)
  }

  /** Whose rows are whose, and what each worker is to be told of first. */
  #divide(batch: FeatureBatch, { places, lengths }: Parts): (ToldSeries | undefined)[] {
    const { map } = this.#routes
    const fresh = map.fresh(batch)
    const told = this.#shards.map(() => [] as number[])
    for (const row of fresh) told[map.join(row, this.#routes.ownerOf(row))].push(row)
    const { length, series } = batch
    for (let i = 0; i < length; i++) {
      const s = map.shardOf(series[i])
      places[s][lengths[s]++] = i
    }
    return told.map(rows =>
      rows.length === 0
        ? undefined
        : this.#routes.tell(
            rows,
            rows.map(row => map.ownRow(row)),
          ),
    )
  }

  take(): Taken | undefined {
    if (this.#taken === this.#given) return undefined
    const given = this.#ring[this.#taken & (SLOTS - 1)]
    const { turns } = given
    for (const [s, shard] of this.#shards.entries())
      if (turns[s] >= 0 && !shard.isJudged(turns[s])) return undefined
    this.#taken++
    const words = this.#shards.map((shard, s) => (turns[s] < 0 ? undefined : shard.take(turns[s])))
    if (this.#shards.length === 1) {
      const { batch, opinions } = this.#shards[0].slotOf(turns[0])
      opinions.length = batch.length
      return { batch, opinions, words }
    }
    const { batch, opinions, places, lengths } = given
    opinions.length = batch.length
    for (const [s, shard] of this.#shards.entries())
      if (turns[s] >= 0)
        scatterOpinions(shard.slotOf(turns[s]).opinions, places[s], 0, lengths[s], opinions, 0)
    return { batch, opinions, words }
  }
}

function givenOf(shards: readonly Shard[], rows: number): Given {
  return {
    batch: featureBatch(rows, 0),
    opinions: opinionBatch(rows),
    turns: shards.map(() => -1),
    ...partsOf(shards, rows),
  }
}

function partsOf(shards: readonly Shard[], rows: number): Parts {
  return { places: shards.map(() => new Uint32Array(rows)), lengths: shards.map(() => 0) }
}

function copyBatch(from: FeatureBatch, to: FeatureBatch): void {
  const { length } = from
  to.length = length
  to.series.set(from.series.subarray(0, length))
  to.windowEndMs.set(from.windowEndMs.subarray(0, length))
  to.observed.set(from.observed.subarray(0, length))
  to.coverage.set(from.coverage.subarray(0, length))
}
