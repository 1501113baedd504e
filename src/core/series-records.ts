import { ByteArena, type SavedArena } from './byte-arena.ts'
import type { Cut, CutColumn } from './cut.ts'
import { PackedBytes, PackedReader } from './packed-text.ts'
import type { SeriesHead, SeriesMeta } from './series.ts'
import { type KnownShape, OWN_ENTITY, type SavedShapes, SeriesShapes } from './series-shapes.ts'
import type { ColumnData } from './snapshot.ts'
import { type KnownText, type SavedDictionary, TextDictionary } from './text-dictionary.ts'

/** Texts of so few characters are no longer than their number would be. */
const TINY_TEXT = 2
/** Stands before a text that is kept in the record itself; numbers of the dictionary are told one higher. */
const HERE = 0

/** A series in parts that others of its kind have too, and that are kept from one to the next. */
export interface SeriesParts {
  readonly shape: KnownShape
  readonly metric: KnownText
  /** Where no label names it. */
  readonly entity: KnownText
  /** Values of the labels in the order of the shape's names; there may be more behind them. */
  readonly values: readonly KnownText[]
}

/** A series without its key, and with some of its labels. */
export type SeriesPart = Omit<SeriesMeta, 'key'>

/** Names of labels that somebody asks for; `__proto__` is none. */
export class WantedLabels {
  readonly #names: ReadonlySet<string>
  readonly #masks = new WeakMap<readonly string[], Uint8Array>()

  constructor(names: readonly string[]) {
    this.#names = new Set(names)
  }

  /** Which of the names of a shape are wanted: 1 for each that is. */
  among(names: readonly string[]): Uint8Array {
    let mask = this.#masks.get(names)
    if (mask === undefined) {
      mask = Uint8Array.from(names, name => (this.#names.has(name) ? 1 : 0))
      this.#masks.set(names, mask)
    }
    return mask
  }
}

export interface SavedRecords {
  readonly shapes: SavedShapes
  readonly texts: SavedDictionary
  readonly records: SavedArena
}

/**
 * What is known of series, in some thirty bytes each outside of the JavaScript heap: the number of the shape, then the
 * metric, the entity where no label names it, and the values of the labels, each as a number of the dictionary or, the
 * first time that it comes, as it is.
 */
export class SeriesRecords {
  readonly #shapes = new SeriesShapes()
  readonly #texts = new TextDictionary()
  readonly #arena = new ByteArena()
  readonly #packed = new PackedBytes()
  readonly #reader = new PackedReader()

  /** Keeps a series; returns its address. `series`: how many there are, about. */
  put(meta: SeriesMeta, series: number): number {
    const packed = this.#packed
    packed.length = 0
    const number = this.#shapes.take(meta)
    const { names, entityAt, hasOwnKey } = this.#shapes.at(number)
    packed.number(number)
    this.#put(meta.metric, series)
    if (entityAt === OWN_ENTITY) this.#put(meta.entity, series)
    for (let i = 0; i < names.length; i++) this.#put(meta.labels[names[i]], series)
    if (hasOwnKey) packed.text(meta.key)
    return this.#arena.put(packed.bytes, packed.length)
  }

  /** The same of a series in parts. */
  putParts({ shape, metric, entity, values }: SeriesParts, series: number): number {
    const packed = this.#packed
    packed.length = 0
    packed.number(this.#shapes.takeKnown(shape))
    this.#putKnown(metric, series)
    const { names, entityAt } = shape.shape
    if (entityAt === OWN_ENTITY) this.#putKnown(entity, series)
    for (let i = 0; i < names.length; i++) this.#putKnown(values[i], series)
    return this.#arena.put(packed.bytes, packed.length)
  }

  free(address: number): void {
    const reader = this.#reader
    const from = this.#seek(address)
    const number = reader.number()
    const { names, entityAt, hasOwnKey } = this.#shapes.at(number)
    const texts = names.length + (entityAt === OWN_ENTITY ? 2 : 1)
    for (let i = 0; i < texts; i++) {
      const text = reader.number()
      if (text === HERE) reader.skipText()
      else this.#texts.release(text - 1)
    }
    if (hasOwnKey) reader.skipText()
    this.#arena.free(address, reader.at - from)
    this.#shapes.release(number)
  }

  read(address: number): SeriesMeta {
    this.#seek(address)
    const number = this.#reader.number()
    const { tenant, unit, kind, bad, names, entityAt, hasOwnKey } = this.#shapes.at(number)
    const metric = this.#text()
    const own = entityAt === OWN_ENTITY ? this.#text() : ''
    const values: string[] = []
    for (let i = 0; i < names.length; i++) values.push(this.#text())
    const entity = entityAt === OWN_ENTITY ? own : values[entityAt]
    const key = hasOwnKey ? this.#reader.text() : this.#shapes.key(number, metric, values)
    return { key, tenant, metric, labels: labelsOf(names, values), entity, unit, kind, bad }
  }

  key(address: number): string {
    this.#seek(address)
    const number = this.#reader.number()
    const { names, entityAt, hasOwnKey } = this.#shapes.at(number)
    const metric = this.#text()
    if (entityAt === OWN_ENTITY) this.#skip()
    const values: string[] = []
    for (let i = 0; i < names.length; i++) values.push(this.#text())
    return hasOwnKey ? this.#reader.text() : this.#shapes.key(number, metric, values)
  }

  /** What `read` gives, without the key, and of the labels only those whose names are `wanted`. */
  part(address: number, wanted: WantedLabels): SeriesPart {
    this.#seek(address)
    const { tenant, unit, kind, bad, names, entityAt } = this.#shapes.at(this.#reader.number())
    const metric = this.#text()
    let entity = entityAt === OWN_ENTITY ? this.#text() : ''
    const mask = wanted.among(names)
    const labels: Record<string, string> = {}
    for (let i = 0; i < names.length; i++) {
      if (mask[i] === 0 && i !== entityAt) {
        this.#skip()
        continue
      }
      const value = this.#text()
      if (mask[i] === 1) labels[names[i]] = value
      if (i === entityAt) entity = value
    }
    return { tenant, metric, labels, entity, unit, kind, bad }
  }

  /** What `read` gives, without the labels and the key, into `out`. */
  head(address: number, out: SeriesHead): void {
    this.#seek(address)
    const { tenant, unit, kind, bad, entityAt } = this.#shapes.at(this.#reader.number())
    out.tenant = tenant
    out.unit = unit
    out.kind = kind
    out.bad = bad
    out.metric = this.#text()
    // The entity's own text, or the value of the label that is it.
    for (let i = 0; i < entityAt; i++) this.#skip()
    out.entity = this.#text()
  }

  /** The value of one label, undefined where there is none of that name. */
  label(address: number, name: string): string | undefined {
    this.#seek(address)
    const { names, entityAt } = this.#shapes.at(this.#reader.number())
    const at = names.indexOf(name)
    if (at < 0) return undefined
    for (let skip = at + (entityAt === OWN_ENTITY ? 2 : 1); skip > 0; skip--) this.#skip()
    return this.#text()
  }

  tenant(address: number): string {
    this.#seek(address)
    return this.#shapes.at(this.#reader.number()).tenant
  }

  hasOwnKey(address: number): boolean {
    this.#seek(address)
    return this.#shapes.at(this.#reader.number()).hasOwnKey
  }

  bytes(): number {
    return this.#texts.bytes() + this.#arena.bytes()
  }

  snapshot(columns: Record<string, ColumnData>): SavedRecords {
    const records = this.#arena.snapshot('records', columns)
    return { shapes: this.#shapes.snapshot(), texts: this.#texts.snapshot(columns), records }
  }

  cut(cut: Cut, columns: Record<string, ColumnData | CutColumn>): SavedRecords {
    const records = this.#arena.cut(cut, 'records', columns)
    return { shapes: this.#shapes.snapshot(), texts: this.#texts.cut(cut, columns), records }
  }

  /** Fills an empty one. Throws FS_SNAPSHOT_INVALID on another layout. */
  restore(columns: Readonly<Record<string, ColumnData>>, from: SavedRecords, isGiven = false): void {
    this.#arena.restore('records', columns, from.records, isGiven)
    this.#texts.restore(columns, from.texts, isGiven)
    this.#shapes.restore(from.shapes)
  }

  #seek(address: number): number {
    const from = this.#arena.offset(address)
    this.#reader.seek(this.#arena.chunk(address), from)
    return from
  }

  #put(text: string, series: number): void {
    const texts = this.#texts
    if (text.length > TINY_TEXT && (texts.find(text) >= 0 || texts.wanted(text, series)))
      this.#packed.number(texts.take(text) + 1)
    else {
      this.#packed.number(HERE)
      this.#packed.text(text)
    }
  }

  #putKnown(known: KnownText, series: number): void {
    const texts = this.#texts
    const id = known.text.length > TINY_TEXT ? texts.look(known) : -1
    if (id < 0) {
      this.#put(known.text, series)
      return
    }
    texts.hold(id)
    this.#packed.number(id + 1)
  }

  #text(): string {
    const number = this.#reader.number()
    return number === HERE ? this.#reader.text() : this.#texts.text(number - 1)
  }

  #skip(): void {
    if (this.#reader.number() === HERE) this.#reader.skipText()
  }
}

function labelsOf(names: readonly string[], values: readonly string[]): Record<string, string> {
  // Plain assignment would not make a label of this name.
  if (names.includes('__proto__')) return Object.fromEntries(names.map((name, i) => [name, values[i]]))
  const labels: Record<string, string> = {}
  for (let i = 0; i < names.length; i++) labels[names[i]] = values[i]
  return labels
}
