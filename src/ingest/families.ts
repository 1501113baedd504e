/** Declared types as remote write numbers them; the last two are ours. */
export const TYPE = {
  unknown: 0,
  counter: 1,
  gauge: 2,
  histogram: 3,
  gaugeHistogram: 4,
  summary: 5,
  info: 6,
  stateset: 7,
  /** A counter told in increments. */
  delta: 8,
  /** Whole histograms in one point. */
  points: 9,
} as const

type Role = 'gauge' | 'waiting' | 'counter' | 'delta' | 'bucket' | 'sum' | 'count' | 'quantile' | 'drop'

/** Families remembered; a server of many exporters declares a few thousand. */
const FAMILIES_MAX = 50_000
/** How long a declaration holds against others that contradict it, s: ten times as long as Prometheus takes to say it again. */
const HOLDS_S = 600
/** Wires that wait for a sibling to say what they are. */
const WAITING_MAX = 50_000

const SUFFIX = /_(total|bucket|sum|count|created)$/

/** What a family was declared to be. */
export interface Declared {
  readonly type: number
  readonly unit: string
  /** When it was last said, Unix s. */
  saidS: number
  /** When it took the place of another, or was last contradicted, Unix s; 0 never. */
  changedS: number
}

/** What is known of metric families: declared metadata, and which siblings were seen. */
export class Families {
  readonly declared = new Map<string, Declared>()
  /** Families of which both a sum and a count, or buckets, were seen. */
  readonly grouped = new Set<string>()
  /** Families of which only a sum or only a count was seen, with its wires. */
  readonly waiting = new Map<string, { suffix: string; wires: Set<number> }>()
  /** How often something new was declared. */
  version = 0
  /** Family of each wire that waits. */
  readonly #waits = new Map<number, string>()

  static base(metric: string): string {
    return metric.replace(SUFFIX, '')
  }

  /** Whether a name may be that of a sum or count, so that what it is depends on others. */
  static isPart(metric: string): boolean {
    return /_(sum|count)$/.test(metric)
  }

  /**
   * True when this says something new. A family that was declared anew is not again for as long as that is repeated: where two
   * exporters contradict each other, Prometheus says both every minute, and series that change what they are begin anew.
   */
  declare(family: string, type: number, unit: string, nowS: number): boolean {
    const known = this.declared.get(family)
    if (known && known.type === type && known.unit === unit) {
      known.saidS = nowS
      return false
    }
    if (!known && this.declared.size >= FAMILIES_MAX) return false
    if (known && nowS - known.changedS < HOLDS_S && nowS - known.saidS < HOLDS_S) {
      known.changedS = nowS
      return false
    }
    this.declared.set(family, { type, unit, saidS: nowS, changedS: known ? nowS : 0 })
    this.version++
    return true
  }

  type(metric: string): number {
    return (this.declared.get(metric) ?? this.declared.get(Families.base(metric)))?.type ?? 0
  }

  unit(metric: string): string {
    return (this.declared.get(metric) ?? this.declared.get(Families.base(metric)))?.unit ?? ''
  }

  /** What a wire is, from its declared type or, without one, from name, labels and siblings. */
  role(metric: string, labels: Readonly<Record<string, string>>, type: number): Role {
    if (type === TYPE.delta) return 'delta'
    if (type === TYPE.gauge || type === TYPE.info || type === TYPE.stateset) return 'gauge'
    const suffix = SUFFIX.exec(metric)?.[1]
    if (suffix === 'created' && type !== TYPE.unknown) return 'drop'
    if (type === TYPE.counter) return 'counter'
    if (type === TYPE.gaugeHistogram) return 'gauge'
    const grouped =
      type === TYPE.histogram || type === TYPE.summary || this.grouped.has(Families.base(metric))
    if (suffix === 'bucket' && 'le' in labels) return 'bucket'
    if (grouped && (suffix === 'sum' || suffix === 'count')) return suffix
    if ('quantile' in labels && labels.quantile !== '' && Number.isFinite(Number(labels.quantile)))
      return 'quantile'
    if (type === TYPE.unknown && (suffix === 'sum' || suffix === 'count')) return 'waiting'
    return suffix === 'total' ? 'counter' : 'gauge'
  }

  /** Notes what a wire says of its family; returns wires whose role may have changed by it. */
  evidence(
    wire: number,
    metric: string,
    labels: Readonly<Record<string, string>>,
    type: number,
  ): readonly number[] {
    if (type !== TYPE.unknown) return []
    const suffix = SUFFIX.exec(metric)?.[1]
    const bucket = suffix === 'bucket' && 'le' in labels
    if (!bucket && suffix !== 'sum' && suffix !== 'count') return []
    const family = Families.base(metric)
    if (this.grouped.has(family)) return []
    const waiting = this.waiting.get(family)
    if (bucket || (waiting && waiting.suffix !== suffix)) {
      if (this.grouped.size < FAMILIES_MAX) this.grouped.add(family)
      this.waiting.delete(family)
      const wires = [...(waiting?.wires ?? [])]
      for (const one of wires) this.#waits.delete(one)
      return wires
    }
    if (this.#waits.size < WAITING_MAX) this.#wait(wire, family, suffix)
    return []
  }

  #wait(wire: number, family: string, suffix: string): void {
    const waiting = this.waiting.get(family)
    if (waiting) waiting.wires.add(wire)
    else this.waiting.set(family, { suffix, wires: new Set([wire]) })
    this.#waits.set(wire, family)
  }

  /** The wire is no more: it waits for nobody, and leaves its place to another. */
  forget(wire: number): void {
    const family = this.#waits.get(wire)
    if (family === undefined) return
    this.#waits.delete(wire)
    const waiting = this.waiting.get(family)
    if (waiting?.wires.delete(wire) && waiting.wires.size === 0) this.waiting.delete(family)
  }

  /** `declared` of older checkpoints say no times. */
  restore(
    declared: readonly (readonly [string, Pick<Declared, 'type' | 'unit'> & Partial<Declared>])[],
    grouped: readonly string[],
    waiting: readonly (readonly [string, { suffix: string; wires: number[] }])[],
  ): void {
    for (const [family, said] of declared) this.declared.set(family, { saidS: 0, changedS: 0, ...said })
    this.version += declared.length
    for (const family of grouped) this.grouped.add(family)
    for (const [family, { suffix, wires }] of waiting) {
      for (const wire of wires) this.#wait(wire, family, suffix)
    }
  }
}
