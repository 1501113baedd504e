import { escapeLabel } from './label-text.ts'
import type { SeriesMeta } from './series.ts'

/** The entity of these series is no label's value: each says its own. */
export const OWN_ENTITY = -1
/** Shapes tried before the map is asked: neighbours in a scrape are of few shapes. */
const RECENT = 8

/** What series that differ only in metric and label values have in common. */
export interface SeriesShape {
  readonly tenant: string
  readonly unit: SeriesMeta['unit']
  readonly kind: SeriesMeta['kind']
  readonly bad: SeriesMeta['bad']
  /** Names of the labels in the order in which they came. */
  readonly names: readonly string[]
  /** Which label's value is the entity, or OWN_ENTITY. */
  readonly entityAt: number
  /** The key is spelt otherwise than `seriesKey` would, and kept as it is. */
  readonly hasOwnKey: boolean
}

type Traits = Pick<SeriesMeta, 'tenant' | 'unit' | 'kind' | 'bad'>

interface Held {
  readonly shape: SeriesShape
  readonly id: string
  /** What stands before the metric in keys. */
  readonly prefix: string
  /** Places of the names in the order of the key. */
  readonly order: readonly number[]
  /** What stands before each value in keys, in that order. */
  readonly openers: readonly string[]
  series: number
}

/** A shape that is taken again and again, with where it was found. */
export interface KnownShape {
  readonly shape: SeriesShape
  /** Its number, and what is held under it, which are its own to change. */
  number: number
  found: SeriesShape | undefined
}

export function knownShape(shape: SeriesShape): KnownShape {
  return { shape, number: -1, found: undefined }
}

export interface SavedShapes {
  readonly shapes: readonly (SeriesShape & { readonly series: number })[]
  /** Number of each shape. */
  readonly numbers: readonly number[]
  readonly free: readonly number[]
}

/** Shapes of series by number; one without series makes room. */
export class SeriesShapes {
  readonly #held: (Held | undefined)[] = []
  readonly #byId = new Map<string, number>()
  readonly #free: number[] = []
  /** Numbers of the shapes found last. */
  readonly #recent = new Int32Array(RECENT).fill(-1)
  #recentAt = 0

  at(number: number): SeriesShape {
    return (this.#held[number] as Held).shape
  }

  /** The number of a series' shape, which has one series more. */
  take(meta: SeriesMeta): number {
    const names = Object.keys(meta.labels)
    const entityAt = names.findIndex(name => meta.labels[name] === meta.entity)
    const number = this.#find(meta, names, entityAt, false)
    const values = names.map(name => meta.labels[name])
    if (this.key(number, meta.metric, values) === meta.key) return this.#join(number)
    const held = this.#held[number] as Held
    if (held.series === 0) this.#drop(number, held)
    return this.#join(this.#find(meta, names, entityAt, true))
  }

  /** The number of a shape, which has one series more; for keys that `seriesKey` spells. */
  takeKnown(known: KnownShape): number {
    const held = known.number < 0 ? undefined : this.#held[known.number]
    if (held === undefined || held.shape !== known.found) {
      const { shape } = known
      known.number = this.#find(shape, shape.names, shape.entityAt, false)
      known.found = this.at(known.number)
    }
    return this.#join(known.number)
  }

  /** One series less. */
  release(number: number): void {
    const held = this.#held[number] as Held
    if (--held.series > 0) return
    this.#drop(number, held)
  }

  /** The canonical key of a series; values in the order of the shape's names. */
  key(number: number, metric: string, values: readonly string[]): string {
    const { prefix, order, openers } = this.#held[number] as Held
    if (order.length === 0) return prefix + metric
    let key = prefix + metric
    for (let i = 0; i < order.length; i++) key += openers[i] + escapeLabel(values[order[i]])
    return `${key}"}`
  }

  snapshot(): SavedShapes {
    const shapes: (SeriesShape & { series: number })[] = []
    const numbers: number[] = []
    for (const [number, held] of this.#held.entries()) {
      if (!held || held.series === 0) continue
      shapes.push({ ...held.shape, series: held.series })
      numbers.push(number)
    }
    return { shapes, numbers, free: [...this.#free] }
  }

  restore({ shapes, numbers, free }: SavedShapes): void {
    for (const [i, { series, ...shape }] of shapes.entries()) this.#hold(numbers[i], shape).series = series
    for (const number of free) this.#free.push(number)
  }

  #find(meta: Traits, names: readonly string[], entityAt: number, hasOwnKey: boolean): number {
    for (let i = 0; i < RECENT; i++) {
      const number = this.#recent[i]
      const held = number < 0 ? undefined : this.#held[number]
      if (held && isOf(held.shape, meta, names, entityAt, hasOwnKey)) return number
    }
    const { tenant, unit, kind, bad } = meta
    const shape: SeriesShape = { tenant, unit, kind, bad, names, entityAt, hasOwnKey }
    const known = this.#byId.get(idOf(shape))
    const number = known ?? this.#free.pop() ?? this.#held.length
    if (known === undefined) this.#hold(number, shape)
    this.#recent[this.#recentAt++ % RECENT] = number
    return number
  }

  #hold(number: number, shape: SeriesShape): Held {
    const { names, tenant } = shape
    const order = names.map((_, i) => i).sort((a, b) => (names[a] < names[b] ? -1 : 1))
    const openers = order.map((place, i) => `${i === 0 ? '{' : '",'}${names[place]}="`)
    const prefix = tenant === 'default' ? '' : `${tenant}/`
    const held = { shape, id: idOf(shape), prefix, order, openers, series: 0 }
    this.#held[number] = held
    this.#byId.set(held.id, number)
    return held
  }

  #join(number: number): number {
    const held = this.#held[number] as Held
    held.series++
    return number
  }

  #drop(number: number, held: Held): void {
    this.#byId.delete(held.id)
    this.#held[number] = undefined
    this.#free.push(number)
  }
}

function idOf({ tenant, unit, kind, bad, names, entityAt, hasOwnKey }: SeriesShape): string {
  return JSON.stringify([tenant, unit, kind, bad, entityAt, hasOwnKey, ...names])
}

function isOf(
  shape: SeriesShape,
  meta: Traits,
  names: readonly string[],
  entityAt: number,
  hasOwnKey: boolean,
): boolean {
  if (shape.kind !== meta.kind || shape.unit !== meta.unit || shape.bad !== meta.bad) return false
  if (shape.tenant !== meta.tenant || shape.entityAt !== entityAt || shape.hasOwnKey !== hasOwnKey)
    return false
  if (shape.names.length !== names.length) return false
  for (let i = 0; i < names.length; i++) if (shape.names[i] !== names[i]) return false
  return true
}
