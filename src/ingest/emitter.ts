import type { SampleBatch } from '../core/batch.ts'
import type { SeriesTable } from '../core/series.ts'
import { type Births, UNTOLD } from './births.ts'
import { metaOf, parseKey } from './naming.ts'
import type { IntakeOptions } from './options.ts'
import type { Tally } from './tally.ts'
import { PLAN } from './wire-records.ts'
import { ROW_REFUSED, type WireTable } from './wire-table.ts'

const discard = (): void => {}

/**
 * Converted values → rows of lent batches (three columns of 4,096 stay within a core's L2 cache); a series is interned with
 * its first value. The batch lies in the table's memory, where the kernel fills it too.
 */
export class Emitter {
  readonly #table: WireTable
  readonly #series: SeriesTable
  readonly #births: Births
  readonly #tally: Tally
  readonly #options: IntakeOptions
  readonly #io: Float64Array
  #take: (batch: SampleBatch) => void = discard

  constructor(
    table: WireTable,
    series: SeriesTable,
    births: Births,
    tally: Tally,
    options: IntakeOptions,
    io: Float64Array,
  ) {
    this.#table = table
    this.#births = births
    this.#io = io
    this.#series = series
    this.#tally = tally
    this.#options = options
  }

  begin(take: (batch: SampleBatch) => void): void {
    this.#take = take
    this.#table.memory.batch.length = 0
  }

  end(): void {
    this.flush()
    this.#take = discard
  }

  /** One value of a wire's series; false when there is no room for the series. */
  put(wire: number, timeMs: number, value: number): boolean {
    this.#io[0] = timeMs
    this.#io[1] = value
    return this.take(wire)
  }

  /** The same with time and value in `io`. */
  take(wire: number): boolean {
    let row = this.#table.row(wire)
    if (row < 0) {
      row = this.#intern(wire, this.#io[1])
      if (row < 0) return row === -1
    }
    const { batch } = this.#table.memory
    const at = batch.length
    batch.series[at] = row
    batch.timeMs[at] = this.#io[0]
    batch.value[at] = this.#io[1]
    batch.length = at + 1
    if (at + 1 === batch.capacity) this.flush()
    return true
  }

  /** Hands on what the batch holds. */
  flush(): void {
    const { batch } = this.#table.memory
    if (batch.length > 0) this.#take(batch)
    batch.length = 0
  }

  #intern(wire: number, value: number): number {
    const table = this.#table
    const series = this.#series
    // A gap of a series that never had a value says nothing.
    if (Number.isNaN(value)) return -1
    const tenant = table.tenant(wire)
    if (table.row(wire) === ROW_REFUSED && series.refusal(tenant) !== undefined)
      return this.#refuse(wire, tenant)
    const told = this.#births.intern(wire)
    if (told !== UNTOLD) return told < 0 ? this.#refuse(wire, tenant) : told
    const { metric, labels } = parseKey(table.text(wire))
    const plan = table.plan(wire)
    const name = plan === PLAN.counter || plan === PLAN.delta ? `${metric}:rate` : metric
    const unit = table.unit(wire)
    const row = series.intern(metaOf(tenant, name, labels, unit, this.#options))
    if (row < 0) return this.#refuse(wire, tenant)
    table.attach(wire, row)
    return row
  }

  #refuse(wire: number, tenant: string): number {
    this.#table.refuseRow(wire)
    const reason = this.#series.refusal(tenant) ?? 'key-conflict'
    if (this.#tally.reject(reason))
      this.#tally.explain(reason, `${this.#table.text(wire)}: ${this.#why(reason, tenant)}`)
    return ROW_REFUSED
  }

  #why(reason: 'series-limit' | 'tenant-series-limit' | 'key-conflict', tenant: string): string {
    const series = this.#series
    if (reason === 'series-limit') return `${series.limit} series are held already`
    if (reason === 'key-conflict') return 'a series of another tenant has this key'
    return `${series.heldBy(tenant)} series of tenant ${tenant} are held already`
  }
}
