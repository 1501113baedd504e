import { type KnownShape, knownShape, OWN_ENTITY } from '../core/series-shapes.ts'
import { type KnownText, knownText } from '../core/text-dictionary.ts'
import { Families, TYPE } from './families.ts'
import { entityOf, metaOf, rateUnit, unitFor } from './naming.ts'
import type { IntakeOptions } from './options.ts'
import type { Origins } from './origins.ts'
import { USE, type WireLabel, type WireLabels } from './wire-labels.ts'
import { PLAN } from './wire-records.ts'

/** Steps to templates remembered; a fleet has a few thousand. When there are too many, all are forgotten. */
const STEPS_MAX = 16_384
/** Labels of which the kind of a metric takes it that failures are counted. */
const FAILING = { error: 'true' }
/** Labels of histograms and summaries: their series stand for each other. */
const GROUPING: readonly string[] = ['le', 'quantile']

/** What series of one metric with the same names of labels have in common; names in the order of the key. */
export interface Template {
  readonly tenant: string
  readonly metric: string
  readonly names: readonly string[]
  /** Places in the label set of the metric and of the labels named. */
  readonly order: Uint8Array
  /** Which label names the entity, −1 where none does. */
  readonly entityAt: number
  /** How its wires are converted, and in which unit, as was known when families had this version. */
  plan: number
  unit: string
  families: number
  /** Of the tenant and that unit; −1 while it was not asked for. */
  origin: number
  /** What their series, and the rates of their series, are called. */
  readonly namings: [Naming | undefined, Naming | undefined]
}

/** What is known of a series but for the values of its labels. */
export interface Naming {
  readonly unit: string
  readonly metric: KnownText
  /** The entity where no label names it. */
  readonly entity: KnownText
  /** By where the entity is, from OWN_ENTITY on; then the same of those that count failures. */
  readonly shapes: (KnownShape | undefined)[]
}

/** A step on the way from a metric to its template: the names of labels one by one. */
interface Step {
  readonly next: Map<string, Step>
  /** The step taken last, and over which name. */
  lastName: string
  last: Step | undefined
  /** Undefined when not made yet, null where the plain way is to be taken. */
  template: Template | null | undefined
}

/** Dropped labels are all the same step; no label that is kept is called so. */
const DROPPED = ''

function step(): Step {
  return { next: new Map(), lastName: DROPPED, last: undefined, template: undefined }
}

/** Templates by tenant, metric and names of labels as they come. */
export class SeriesTemplates {
  readonly #options: IntakeOptions
  #tenants = new Map<string, Map<string, Step>>()
  #steps = 0

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** The template of a label set, or undefined where only the plain way knows what it is. */
  of(labels: WireLabels, tenant: string): Template | undefined {
    const { at, length } = labels
    if (at[0].name !== '__name__') return undefined
    if (this.#steps > STEPS_MAX) {
      this.#tenants = new Map()
      this.#steps = 0
    }
    let now = this.#metric(tenant, at[0].value.text)
    for (let i = 1; i < length; i++) {
      const name = at[i].use === USE.drop ? DROPPED : at[i].name
      if (now.last !== undefined && now.lastName === name) now = now.last
      else now = this.#step(now, name)
    }
    if (now.template === undefined) now.template = this.#make(at, length, tenant)
    return now.template ?? undefined
  }

  #metric(tenant: string, metric: string): Step {
    let metrics = this.#tenants.get(tenant)
    const known = metrics?.get(metric)
    if (known !== undefined) return known
    if (metrics === undefined) {
      metrics = new Map()
      this.#tenants.set(tenant, metrics)
    }
    const made = step()
    metrics.set(metric, made)
    this.#steps++
    return made
  }

  #step(from: Step, name: string): Step {
    let to = from.next.get(name)
    if (to === undefined) {
      to = step()
      from.next.set(name, to)
      this.#steps++
    }
    from.lastName = name
    from.last = to
    return to
  }

  #make(labels: readonly WireLabel[], length: number, tenant: string): Template | null {
    const { entityLabels, labelsMax } = this.#options
    const places: number[] = []
    for (let i = 1; i < length; i++) {
      const { name, use } = labels[i]
      if (name === '__name__' || GROUPING.includes(name)) return null
      if (use === USE.keep) places.push(i)
    }
    const nameOf = (place: number) => labels[place].name
    places.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    const names = places.map(nameOf)
    if (names.length > labelsMax || new Set(names).size < names.length) return null
    const named = entityLabels.find(name => names.includes(name))
    const isCall = names.includes('client') && names.includes('server')
    const called = named ?? (isCall ? 'server' : undefined)
    return {
      tenant,
      metric: labels[0].value.text,
      names,
      order: Uint8Array.of(0, ...places),
      entityAt: called === undefined ? -1 : names.indexOf(called),
      plan: PLAN.free,
      unit: '',
      families: -1,
      origin: -1,
      namings: [undefined, undefined],
    }
  }
}

/**
 * How wires of a template are converted, with its `plan` and `unit` brought up to what is known of families; false where what
 * they are depends on others.
 */
export function settlePlan(template: Template, families: Families): boolean {
  if (template.families !== families.version) {
    const { metric } = template
    const type = families.type(metric)
    const role = type === TYPE.unknown && Families.isPart(metric) ? 'drop' : families.role(metric, {}, type)
    template.plan = role === 'gauge' ? PLAN.gauge : role === 'counter' ? PLAN.counter : PLAN.free
    template.unit = unitFor(Families.base(metric), families.unit(metric))
    template.families = families.version
    template.origin = -1
  }
  return template.plan !== PLAN.free
}

/** Finds the origin of a template's wires. What is counted has one without being a rate as well, as by the plain way. */
export function settleOrigin(template: Template, origins: Origins): void {
  const { tenant, unit, plan } = template
  template.origin = origins.index(tenant, unit)
  if (plan === PLAN.counter) template.origin = origins.index(tenant, rateUnit(unit))
}

/** What series of a template are called, in a unit. */
export function namingOf(template: Template, isRate: boolean, unit: string, options: IntakeOptions): Naming {
  const which = isRate ? 1 : 0
  const known = template.namings[which]
  if (known !== undefined && known.unit === unit) return known
  const metric = isRate ? `${template.metric}:rate` : template.metric
  const naming: Naming = {
    unit,
    metric: knownText(metric),
    entity: knownText(entityOf(metric, {}, options)),
    shapes: [],
  }
  template.namings[which] = naming
  return naming
}

/** The shape of a series whose entity is the value of label `entityAt`, or OWN_ENTITY. */
export function shapeOf(
  template: Template,
  naming: Naming,
  entityAt: number,
  isFailing: boolean,
  options: IntakeOptions,
): KnownShape {
  const { names, tenant } = template
  const at = entityAt - OWN_ENTITY + (isFailing ? names.length + 1 : 0)
  const known = naming.shapes[at]
  if (known !== undefined) return known
  const { unit, kind, bad } = metaOf(
    tenant,
    naming.metric.text,
    isFailing ? FAILING : {},
    naming.unit,
    options,
  )
  const shape = knownShape({ tenant, unit, kind, bad, names, entityAt, hasOwnKey: false })
  naming.shapes[at] = shape
  return shape
}
