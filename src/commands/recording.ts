import { sampleBatch } from '../core/batch.ts'
import type { Change } from '../core/change.ts'
import { ForeshockError } from '../core/errors.ts'
import { Rejects } from '../core/rejects.ts'
import { type SeriesMeta, SeriesTable } from '../core/series.ts'
import type { CallEdge } from '../core/topology.ts'
import { replayRows } from '../ingest/csv-replay.ts'
import type { RecordedWorld } from './recorded-world.ts'

/** Distinct times looked at to find how far apart samples are. */
const TIMES_MAX = 2000
const FEED_ROWS = 4096

/** Samples of a recording in memory, with what was known beside them: read once, played into any world. */
export class Recording {
  readonly table = new SeriesTable()
  readonly edges: CallEdge[] = []
  readonly changes: Change[] = []
  length = 0
  #series = new Uint32Array(FEED_ROWS)
  #timeMs = new Float64Array(FEED_ROWS)
  #value = new Float64Array(FEED_ROWS)
  #ordered = true

  /** Row of a series, made when new. */
  intern(meta: SeriesMeta): number {
    return this.table.intern(meta)
  }

  add(row: number, timeMs: number, value: number): void {
    if (row < 0 || !Number.isFinite(value)) return
    if (this.length === this.#series.length) this.#grow()
    if (this.length > 0 && timeMs < this.#timeMs[this.length - 1]) this.#ordered = false
    this.#series[this.length] = row
    this.#timeMs[this.length] = timeMs
    this.#value[this.length++] = value
  }

  /** Adds the samples of a file or folder, their times moved by `shiftMs`. */
  async read(path: string, shiftMs = 0): Promise<void> {
    const rejects = new Rejects()
    await replayRows(path, { series: this.table, rejects }, batch => {
      for (let i = 0; i < batch.length; i++)
        this.add(batch.series[i], batch.timeMs[i] + shiftMs, batch.value[i])
    })
  }

  /** First and last sample time, Unix ms; NaN when empty. */
  span(): { readonly firstMs: number; readonly lastMs: number } {
    let [firstMs, lastMs] = [Number.NaN, Number.NaN]
    for (let i = 0; i < this.length; i++) {
      if (!(this.#timeMs[i] >= firstMs)) firstMs = this.#timeMs[i]
      if (!(this.#timeMs[i] <= lastMs)) lastMs = this.#timeMs[i]
    }
    return { firstMs, lastMs }
  }

  /** The newest sample time at or before a moment, NaN when there is none. */
  newestUpTo(atMs: number): number {
    let newest = Number.NaN
    for (let i = 0; i < this.length; i++) {
      const t = this.#timeMs[i]
      if (t <= atMs && !(t <= newest)) newest = t
    }
    return newest
  }

  /** Median distance of the samples of one series, taken over the longest few, ms. */
  stepMs(): number {
    const times = new Map<number, number[]>()
    const order = this.#order()
    for (let i = 0; i < this.length; i++) {
      const at = order ? order[i] : i
      let own = times.get(this.#series[at])
      if (!own) {
        if (times.size >= 16) continue
        own = []
        times.set(this.#series[at], own)
      }
      if (own.length < TIMES_MAX && own[own.length - 1] !== this.#timeMs[at]) own.push(this.#timeMs[at])
    }
    const gaps = [...times.values()].flatMap(own => own.slice(1).map((timeMs, i) => timeMs - own[i]))
    gaps.sort((a, b) => a - b)
    const step = gaps[gaps.length >> 1]
    if (step === undefined)
      throw new ForeshockError('FS_INPUT_INVALID', 'needs a series with two different times')
    // Scrapes wander by a second: 61 s apart is a minute.
    const seconds = step / 1000
    const round = [1, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600].find(
      one => Math.abs(seconds - one) <= 0.05 * one,
    )
    return round === undefined ? step : round * 1000
  }

  /** Feeds every sample up to and including `untilMs`, in time order, and ends the input. */
  async play(world: RecordedWorld, untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    for (const [, meta] of this.table.metas()) world.parts.series.intern(meta)
    world.know(this.edges, this.changes)
    const order = this.#order()
    const batch = sampleBatch(FEED_ROWS)
    for (let i = 0; i < this.length; i++) {
      const from = order ? order[i] : i
      if (this.#timeMs[from] > untilMs) break
      const at = batch.length++
      batch.series[at] = this.#series[from]
      batch.timeMs[at] = this.#timeMs[from]
      batch.value[at] = this.#value[from]
      if (batch.length < batch.capacity) continue
      await world.take(batch)
      batch.length = 0
    }
    await world.take(batch)
    await world.end()
  }

  #order(): Uint32Array | undefined {
    if (this.#ordered) return undefined
    const order = Uint32Array.from({ length: this.length }, (_, i) => i)
    const timeMs = this.#timeMs
    return order.sort((a, b) => timeMs[a] - timeMs[b] || a - b)
  }

  #grow(): void {
    const length = this.#series.length * 2
    const series = new Uint32Array(length)
    series.set(this.#series)
    this.#series = series
    const timeMs = new Float64Array(length)
    timeMs.set(this.#timeMs)
    this.#timeMs = timeMs
    const value = new Float64Array(length)
    value.set(this.#value)
    this.#value = value
  }
}
