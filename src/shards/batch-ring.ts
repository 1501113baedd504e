import {
  BATCH_ROWS,
  type FeatureBatch,
  featureBatch,
  type OpinionBatch,
  opinionBatch,
} from '../core/batch.ts'
import { ForeshockError } from '../core/errors.ts'
import { scatterOpinions } from '../core/scatter.ts'
import { STEP_ROWS } from '../core/steps.ts'
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
    this.#ring = Array.from({ length: SLOTS }, () => givenOf(shards, shards.length === 1 ? 0 : BATCH_ROWS))
  }

  get hasRoom(): boolean {
    return this.#given - this.#taken < SLOTS && this.#shards.every(shard => shard.hasRoom)
  }

  /** Workers are to know all rows of a window before its batches come; each is told of its own. */
  begin(window: FeatureBatch): void {
    const isOne = this.#shards.length === 1
    const parts = partsOf(this.#shards, isOne ? 0 : window.length)
    const told = this.#shards.map(() => [] as number[])
    if (isOne) told[0] = this.#routes.map.fresh(window, 0, window.length)
    else this.#divide(window, 0, window.length, parts, told)
    for (const [s, shard] of this.#shards.entries()) {
      const length = isOne ? window.length : parts.lengths[s]
      const rows = featureBatch(length, 0)
      rows.length = length
      if (isOne) copyRows(window, 0, length, rows)
      else this.#routes.map.fillRows(window, parts.places[s], length, rows)
      const columns = [rows.series, rows.windowEndMs, rows.observed, rows.coverage]
      shard.ask(
        { op: 'window', rows },
        this.#toldOf(told[s]),
        columns.map(({ buffer }) => buffer as ArrayBuffer),
      )
    }
  }

  /** What a worker is told of series that are new to it. */
  #toldOf(rows: readonly number[]): ToldSeries | undefined {
    if (rows.length === 0) return undefined
    const { map, tell } = this.#routes
    return tell(
      rows,
      rows.map(row => map.ownRow(row)),
    )
  }

  /** Some rows at a time; the batch is given when all are. */
  *giving(batch: FeatureBatch, weight: Float32Array): Generator<void> {
    if (batch.width !== 0) throw new ForeshockError('FS_ASSERTION', 'workers score no feature vectors')
    const given = this.#ring[this.#given & (SLOTS - 1)]
    if (this.#shards.length === 1) yield* this.#givingWhole(given, batch, weight)
    else yield* this.#givingParts(given, batch, weight)
    this.#given++
  }

  *#givingWhole(given: Given, batch: FeatureBatch, weight: Float32Array): Generator<void> {
    const [shard] = this.#shards
    const { slot } = shard
    const told: number[] = []
    for (const [from, to] of stepsOf(batch)) {
      for (const row of this.#routes.map.fresh(batch, from, to)) told.push(row)
      copyRows(batch, from, to, slot.batch)
      slot.weight.set(weight.subarray(from, to), from)
      yield
    }
    slot.batch.length = batch.length
    given.turns[0] = shard.give(batch.length, this.#toldOf(told))
  }

  *#givingParts(given: Given, batch: FeatureBatch, weight: Float32Array): Generator<void> {
    const { map } = this.#routes
    const told = this.#shards.map(() => [] as number[])
    given.lengths.fill(0)
    for (const [from, to] of stepsOf(batch)) {
      this.#divide(batch, from, to, given, told)
      copyRows(batch, from, to, given.batch)
      yield
    }
    given.batch.length = batch.length
    for (const [s, shard] of this.#shards.entries()) {
      given.turns[s] = -1
      const rows = given.lengths[s]
      if (rows === 0) continue
      map.fill(batch, weight, given.places[s], rows, shard.slot)
      given.turns[s] = shard.give(rows, this.#toldOf(told[s]))
      yield
    }
  }

  /** Whose rows are whose, and which each worker is to be told of first. */
  #divide(
    batch: FeatureBatch,
    from: number,
    to: number,
    { places, lengths }: Parts,
    told: readonly number[][],
  ): void {
    const { map, ownerOf } = this.#routes
    for (const row of map.fresh(batch, from, to)) told[map.join(row, ownerOf(row))].push(row)
    const { series } = batch
    for (let i = from; i < to; i++) {
      const s = map.shardOf(series[i])
      places[s][lengths[s]++] = i
    }
  }

  /** The oldest batch, put together some rows at a time; undefined while any worker has not judged it. */
  taking(): Generator<void, Taken> | undefined {
    if (this.#taken === this.#given) return undefined
    const given = this.#ring[this.#taken & (SLOTS - 1)]
    for (const [s, shard] of this.#shards.entries())
      if (given.turns[s] >= 0 && !shard.isJudged(given.turns[s])) return undefined
    return this.#gathering(given)
  }

  *#gathering({ batch, opinions, turns, places, lengths }: Given): Generator<void, Taken> {
    this.#taken++
    const words = this.#shards.map((shard, s) => (turns[s] < 0 ? undefined : shard.take(turns[s])))
    if (this.#shards.length === 1) {
      const { batch, opinions } = this.#shards[0].slotOf(turns[0])
      opinions.length = batch.length
      return { batch, opinions, words }
    }
    opinions.length = batch.length
    for (const [s, shard] of this.#shards.entries()) {
      if (turns[s] < 0) continue
      const said = shard.slotOf(turns[s]).opinions
      for (const [from, to] of stepsOf({ length: lengths[s] })) {
        scatterOpinions(said, places[s], from, to, opinions, 0)
        yield
      }
    }
    return { batch, opinions, words }
  }
}

/** Where each step through so many rows begins and ends. */
function* stepsOf({ length }: { readonly length: number }): Generator<readonly [from: number, to: number]> {
  for (let from = 0; from < length; from += STEP_ROWS) yield [from, Math.min(length, from + STEP_ROWS)]
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

function copyRows(from: FeatureBatch, begin: number, end: number, to: FeatureBatch): void {
  to.series.set(from.series.subarray(begin, end), begin)
  to.windowEndMs.set(from.windowEndMs.subarray(begin, end), begin)
  to.observed.set(from.observed.subarray(begin, end), begin)
  to.coverage.set(from.coverage.subarray(begin, end), begin)
}
