import type { SeriesTable } from '../core/series.ts'
import type { KnownText } from '../core/text-dictionary.ts'
import { ARRIVAL_S, KEY, LATEST_MS } from '../kernels/assembly/_wire-layout.ts'
import type { Families } from './families.ts'
import type { IntakeOptions } from './options.ts'
import {
  namingOf,
  SeriesTemplates,
  settleOrigin,
  settlePlan,
  shapeOf,
  type Template,
} from './series-templates.ts'
import type { WireLabels } from './wire-labels.ts'
import { PLAN } from './wire-records.ts'
import type { WireTable } from './wire-table.ts'

/** Nothing is known of this wire's labels, or only the plain way can tell what becomes of it. */
export const UNTOLD = -3

/**
 * Series that are seen for the first time, from the bytes of their labels: what follows from a label or from a set of names is
 * worked out once and kept, so that a new series costs a few look-ups and no text is made of it. It ends with what
 * `Converter.define` and `Emitter` come to by the plain way, to the byte, and leaves to them what is unusual.
 */
export class Births {
  readonly #options: IntakeOptions
  readonly #table: WireTable
  readonly #series: SeriesTable
  readonly #families: Families
  readonly #templates: SeriesTemplates
  readonly #values: KnownText[] = []
  /** The wire whose labels are at hand, −1 without one. */
  #wire = -1
  #labels: WireLabels | undefined
  #template: Template | undefined

  constructor(options: IntakeOptions, table: WireTable, series: SeriesTable, families: Families) {
    this.#options = options
    this.#table = table
    this.#series = series
    this.#families = families
    this.#templates = new SeriesTemplates(options)
  }

  /**
   * A wire for a series that is not known, with its row if its first sample, which is in `io`, is sure to be taken; −1 where
   * only the plain way can make one.
   */
  define(labels: WireLabels, tenant: string, a: number, b: number, check: number, io: Float64Array): number {
    const table = this.#table
    if (table.size >= table.limit || !labels.canSay(tenant)) return -1
    const template = this.#templates.of(labels, tenant)
    if (template === undefined || !settlePlan(template, this.#families)) return -1
    if (template.origin < 0 && !table.origins.hasRoom(tenant)) return -1
    const wire = table.addBare(a, b, check)
    if (wire < 0) return -1
    table.keepText()
    if (template.origin < 0) settleOrigin(template, table.origins)
    table.begin(wire, template.plan, template.origin, table.memory.i32[ARRIVAL_S >> 2])
    this.#wire = wire
    this.#labels = labels
    this.#template = template
    if (template.plan !== PLAN.gauge || !this.#isGood(io) || this.intern(wire) < 0)
      table.setAscii(wire, KEY, labels.writeKey(template.order, false, 'default'))
    return wire
  }

  /** A number at a time that is taken. */
  #isGood(io: Float64Array): boolean {
    return io[0] > 0 && io[0] <= this.#table.memory.f64[LATEST_MS >> 3] && Number.isFinite(io[1])
  }

  /** The labels of a wire that is known are at hand. */
  present(wire: number, labels: WireLabels): void {
    const tenant = this.#table.tenant(wire)
    const template = labels.canSay(tenant) ? this.#templates.of(labels, tenant) : undefined
    if (template === undefined) return
    this.#wire = wire
    this.#labels = labels
    this.#template = template
  }

  /** They are no longer. */
  pass(): void {
    this.#wire = -1
  }

  /** The row of the series of a wire that has none yet, hooked to it; −1 where the table is full, or UNTOLD. */
  intern(wire: number): number {
    const [labels, template] = [this.#labels, this.#template]
    if (wire !== this.#wire || labels === undefined || template === undefined) return UNTOLD
    const table = this.#table
    const plan = table.plan(wire)
    if (plan !== PLAN.gauge && plan !== PLAN.counter) return UNTOLD
    const isRate = plan === PLAN.counter
    const length = labels.writeKey(template.order, isRate, template.tenant)
    const naming = namingOf(template, isRate, table.unit(wire), this.#options)
    const { order, entityAt } = template
    const values = this.#values
    const count = order.length - 1
    for (let i = 0; i < count; i++) values[i] = labels.at[order[i + 1]].value
    const entity = entityAt < 0 ? naming.entity.text : values[entityAt].text
    // Whichever label says the same comes first.
    let at = 0
    while (at < count && values[at].text !== entity) at++
    let isFailing = false
    for (let i = 0; i < count; i++) if (labels.at[order[i + 1]].countsFailures) isFailing = true
    const shape = shapeOf(template, naming, at < count ? at : -1, isFailing, this.#options)
    const parts = { shape, metric: naming.metric, entity: naming.entity, values }
    const row = this.#series.internParts(parts, labels.hashKey(length))
    if (row >= 0) table.attachSame(wire, row)
    return row
  }
}
