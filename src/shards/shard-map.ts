import type { FeatureBatch } from '../core/batch.ts'
import type { Slot } from './memory.ts'

type Rows = Pick<FeatureBatch, 'series' | 'windowEndMs' | 'observed' | 'coverage'>

/** Where each row of the series table is scored, and under which row there. One worker has the rows of the table. */
export class ShardMap {
  readonly #shards: number
  /** Worker plus one by row, 0 where it is told to none. */
  #shardOf = new Uint8Array(0)
  /** Row of the worker's own by row; empty with one worker. */
  #ownOf = new Uint32Array(0)
  /** By worker, row of the table plus one by own row. */
  readonly #seriesOf: Uint32Array[]
  readonly #free: number[][]
  readonly #rows: number[]

  constructor(shards: number) {
    this.#shards = shards
    this.#seriesOf = Array.from({ length: shards }, () => new Uint32Array(0))
    this.#free = Array.from({ length: shards }, () => [])
    this.#rows = Array.from({ length: shards }, () => 0)
  }

  /** Rows of a batch, of its places from..to, that no worker was told of. With one worker it is told of them now. */
  fresh({ series }: FeatureBatch, from: number, to: number): number[] {
    const fresh: number[] = []
    if (from >= to) return fresh
    this.#ensure(series[to - 1] + 1)
    const known = this.#shardOf
    for (let i = from; i < to; i++) if (known[series[i]] === 0) fresh.push(series[i])
    if (this.#shards === 1) for (const row of fresh) known[row] = 1
    return fresh
  }

  /** Gives a row to a worker; returns the worker. */
  join(row: number, shard: number): number {
    this.#ensure(row + 1)
    this.#shardOf[row] = shard + 1
    if (this.#shards === 1) return shard
    const own = this.#free[shard].pop() ?? this.#rows[shard]++
    this.#ownOf[row] = own
    const seriesOf = this.#seriesOf[shard]
    if (own >= seriesOf.length) {
      const longer = new Uint32Array(Math.max(1024, 2 * own))
      longer.set(seriesOf)
      this.#seriesOf[shard] = longer
    }
    this.#seriesOf[shard][own] = row + 1
    return shard
  }

  /** The row is no more; where it was, undefined when no worker was told of it. */
  leave(row: number): { readonly shard: number; readonly row: number } | undefined {
    const shard = (this.#shardOf[row] ?? 0) - 1
    if (shard < 0) return undefined
    this.#shardOf[row] = 0
    if (this.#shards === 1) return { shard, row }
    const own = this.#ownOf[row]
    this.#seriesOf[shard][own] = 0
    this.#free[shard].push(own)
    return { shard, row: own }
  }

  shardOf(row: number): number {
    return this.#shardOf[row] - 1
  }

  ownRow(row: number): number {
    return this.#shards === 1 ? row : this.#ownOf[row]
  }

  /** The table's row behind a worker's own, −1 where it is free. */
  seriesAt(shard: number, own: number): number {
    return this.#shards === 1 ? own : (this.#seriesOf[shard][own] ?? 0) - 1
  }

  /** Some rows of a batch into a worker's slot, in ascending order of its own rows. */
  fill(
    { series, windowEndMs, observed, coverage }: Rows,
    weight: Float32Array,
    places: Uint32Array,
    rows: number,
    slot: Slot,
  ): void {
    this.fillRows({ series, windowEndMs, observed, coverage }, places, rows, slot.batch)
    for (let i = 0; i < rows; i++) slot.weight[i] = weight[places[i]]
  }

  /** The same without weights. */
  fillRows(
    { series, windowEndMs, observed, coverage }: Rows,
    places: Uint32Array,
    rows: number,
    batch: FeatureBatch,
  ): void {
    const own = this.#ownOf
    let isSorted = true
    for (let i = 1; i < rows && isSorted; i++) isSorted = own[series[places[i - 1]]] < own[series[places[i]]]
    // Rare: only where rows were given out anew.
    if (!isSorted) places.subarray(0, rows).sort((a, b) => own[series[a]] - own[series[b]])
    for (let i = 0; i < rows; i++) {
      const at = places[i]
      batch.series[i] = own[series[at]]
      batch.windowEndMs[i] = windowEndMs[at]
      batch.observed[i] = observed[at]
      batch.coverage[i] = coverage[at]
    }
    batch.length = rows
  }

  bytes(): number {
    return this.#seriesOf.reduce(
      (sum, rows) => sum + rows.byteLength,
      this.#shardOf.byteLength + this.#ownOf.byteLength,
    )
  }

  #ensure(rows: number): void {
    if (rows <= this.#shardOf.length) return
    const room = Math.max(1024, rows + (rows >> 1))
    const longer = new Uint8Array(room)
    longer.set(this.#shardOf)
    this.#shardOf = longer
    if (this.#shards === 1) return
    const own = new Uint32Array(room)
    own.set(this.#ownOf)
    this.#ownOf = own
  }
}
