// Not a test: the bed the disruption tests stand on. It plays the neighbouring rooms in their simplest true form:
// a history that keeps every window, the streaming deviation score (z over a robust spread, divided by the 97 %
// quantile of its own past), absence after two silent windows, and anomalies with hysteresis.
import type { Anomaly } from '../../src/core/anomaly.ts'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import type { DisruptionEvent } from '../../src/core/disruption.ts'
import type { HistoryColumns, SeriesHistory, WindowsAt } from '../../src/core/history.ts'
import { contentId } from '../../src/core/identity.ts'
import { KIND_TRAITS } from '../../src/core/metric-kind.ts'
import { type SeriesMeta, SeriesTable, seriesKey } from '../../src/core/series.ts'
import type { AnomalyChange } from '../../src/core/stages.ts'
import { badOf, floorOf, placeOf } from '../../src/disruptions/families.ts'
import { DISRUPTION_DEFAULTS, type DisruptionOptions } from '../../src/disruptions/options.ts'
import { Disruptions } from '../../src/disruptions/stage.ts'
import { plainKnownWithin, plainWindowsAt } from '../core/plain-windows.ts'

/** The 99th percentile of a service's latency, with labels beside its name. */
export function latencyMeta(
  entity: string,
  extra: Readonly<Record<string, string>> = {},
  tenant = 'default',
): SeriesMeta {
  const labels = { service: entity, ...extra }
  const metric = 'server_duration_seconds:p99'
  return {
    key: seriesKey(metric, labels, tenant),
    tenant,
    metric,
    labels,
    entity,
    unit: 's',
    kind: 'latency',
    bad: 'up',
  }
}

export class FullHistory implements SeriesHistory {
  readonly depth = 1_000_000
  readonly stepMs: number
  newestEndMs = Number.NaN
  #firstEndMs = Number.NaN
  readonly #rows: number[][] = []

  constructor(stepMs: number) {
    this.stepMs = stepMs
  }

  push(endMs: number, values: ReadonlyMap<number, number>): void {
    if (Number.isNaN(this.#firstEndMs)) this.#firstEndMs = endMs
    const at = Math.round((endMs - this.#firstEndMs) / this.stepMs)
    for (const [row, value] of values) {
      this.#rows[row] ??= []
      const list = this.#rows[row]
      while (list.length < at) list.push(Number.NaN)
      list[at] = value
    }
    this.newestEndMs = endMs
  }

  read(_series: number, _out: HistoryColumns): number {
    return 0
  }

  observed(series: number, fromMs: number, toMs: number, out: Float64Array): number {
    const list = this.#rows[series]
    if (!list) return 0
    const last = Math.floor((Math.min(toMs, this.newestEndMs) - this.#firstEndMs) / this.stepMs)
    const first = Math.max(0, Math.floor((fromMs - this.#firstEndMs) / this.stepMs) + 1)
    let n = 0
    for (let i = first; i <= last && n < out.length; i++) out[n++] = list[i] ?? Number.NaN
    return n
  }

  knownWithin(fromMs: number, toMs: number): (series: number) => number {
    return plainKnownWithin(this, fromMs, toMs)
  }

  windowsAt(endsMs: Float64Array): WindowsAt {
    return plainWindowsAt(this, endsMs, series => this.#rows[series] !== undefined)
  }
}

/** Streaming deviation of one series: score, then learn. */
class Deviation {
  n = 0
  m = 0
  s = 0
  l = 0
  silent = 0
  readonly #bins = new Float64Array(80)
  #mass = 0
  readonly #meta: SeriesMeta
  readonly #bad: 'up' | 'down' | 'both'
  readonly #rel: number
  readonly #unit: number
  #x = Number.NaN
  #z = 0

  constructor(meta: SeriesMeta) {
    this.#meta = meta
    const place = placeOf(meta, () => true)
    this.#bad = badOf(meta, place)
    this.#rel = KIND_TRAITS[place.kind].relativeFloor
    this.#unit = floorOf(place.kind, meta.unit)
  }

  get meta(): SeriesMeta {
    return this.#meta
  }

  #scale(): number {
    return Math.max(1.2533 * this.s, this.#rel * this.l, this.#unit, 1e-9)
  }

  #q97(): number {
    if (this.n < 11 || this.#mass < 5) return 1
    let left = 0.03 * this.#mass
    for (let b = 79; b >= 0; b--) {
      left -= this.#bins[b]
      if (left <= 0) return b === 0 ? 0.05 : 0.05 * (2000 / 0.05) ** ((b + 0.5) / 80)
    }
    return 0.05
  }

  /** Evidence 0..8 of a value; NaN while silent and not yet found absent. */
  score(x: number): number {
    this.#x = x
    if (Number.isNaN(x)) {
      this.silent++
      return this.n >= 10 && this.silent >= 2 ? 8 : Number.NaN
    }
    this.silent = 0
    const r = x - this.m
    const d = this.#bad === 'up' ? r : this.#bad === 'down' ? -r : Math.abs(r)
    this.#z = this.n < 10 ? 0 : Math.max(0, d / this.#scale())
    return Math.min(8, this.#z / (1 + this.#q97()))
  }

  get direction(): number {
    return Number.isNaN(this.#x) ? 0 : Math.sign(this.#x - this.m)
  }

  learn(weight: number): void {
    const x = this.#x
    if (Number.isNaN(x)) return
    this.n++
    const g = Math.max(1 / (this.n + 1), 1 - 2 ** (-1 / 120))
    if (this.n === 1) {
      this.m = x
      this.l = Math.abs(x)
      return
    }
    const r = x - this.m
    const limit = 4 * this.#scale()
    this.m += g * Math.max(-limit, Math.min(limit, r))
    this.s += g * (Math.min(Math.abs(r), limit) - this.s)
    this.l += g * (Math.abs(x) - this.l)
    if (this.n < 11) return
    const decay = 2 ** (-weight / 720)
    for (let b = 0; b < 80; b++) this.#bins[b] *= decay
    this.#mass = this.#mass * decay + weight
    const b = Math.floor((80 * Math.log(Math.max(this.#z, 0.05) / 0.05)) / Math.log(2000 / 0.05))
    this.#bins[Math.max(0, Math.min(79, b))] += weight
  }
}

/** Evidence at which a series' anomaly opens and closes. */
const OPEN_AT = 4
const CLOSE_BELOW = 1.5
const STRANGE_WEIGHT = 0.25

export class Bench {
  readonly table = new SeriesTable()
  readonly history: FullHistory
  stage: Disruptions
  readonly events: DisruptionEvent[] = []
  readonly options: DisruptionOptions
  readonly #models: Deviation[] = []
  readonly #open = new Map<number, Anomaly>()
  readonly #batch = featureBatch(4096, 0)
  readonly #opinions = opinionBatch(4096)
  readonly #weights = new Float32Array(4096)

  constructor(options: Partial<DisruptionOptions> = {}) {
    this.options = { ...DISRUPTION_DEFAULTS, stepMs: 1000, ...options }
    this.history = new FullHistory(this.options.stepMs)
    this.stage = this.fresh()
  }

  fresh(): Disruptions {
    return new Disruptions(this.options, { series: this.table, history: this.history })
  }

  add(meta: SeriesMeta): number {
    const row = this.table.intern(meta)
    this.#models[row] ??= new Deviation(meta)
    return row
  }

  /** One window of values by row; NaN is a series that is known and silent. Returns the events of the window. */
  window(endMs: number, values: ReadonlyMap<number, number>): DisruptionEvent[] {
    this.history.push(endMs, values)
    const rows = [...values.keys()]
    const { stage } = this
    for (let from = 0; from < rows.length; from += this.#batch.capacity) {
      const part = rows.slice(from, from + this.#batch.capacity)
      const changes = this.#score(part, values, endMs)
      stage.observe(this.#batch, this.#opinions, changes)
      stage.weigh(this.#batch, this.#weights)
      for (let i = 0; i < part.length; i++) {
        // As the live detectors do: a strange window teaches at a quarter of the speed at most.
        const strange = this.#opinions.evidence[i] >= OPEN_AT ? STRANGE_WEIGHT : 1
        this.#models[part[i]].learn(Math.min(this.#weights[i], strange))
      }
    }
    const events = stage.advance(endMs)
    this.events.push(...events)
    return events
  }

  #score(rows: readonly number[], values: ReadonlyMap<number, number>, endMs: number): AnomalyChange[] {
    const changes: AnomalyChange[] = []
    this.#batch.length = rows.length
    this.#opinions.length = rows.length
    for (let i = 0; i < rows.length; i++) {
      const model = this.#models[rows[i]]
      const value = values.get(rows[i]) ?? Number.NaN
      this.#batch.series[i] = rows[i]
      this.#batch.windowEndMs[i] = endMs
      this.#batch.observed[i] = value
      this.#batch.coverage[i] = Number.isNaN(value) ? 0 : 1
      const a = model.score(value)
      this.#opinions.evidence[i] = a
      this.#opinions.expected[i] = model.n >= 10 ? model.m : Number.NaN
      this.#opinions.direction[i] = model.direction
      const change = this.#judge(rows[i], model, value, a, endMs)
      if (change) changes.push(change)
    }
    return changes
  }

  #judge(row: number, model: Deviation, value: number, a: number, endMs: number): AnomalyChange | undefined {
    const known = this.#open.get(row)
    if (!known && !(a >= OPEN_AT)) return undefined
    const startMs = known?.startMs ?? endMs - this.options.stepMs
    const { meta } = model
    const closed = known !== undefined && !(a >= CLOSE_BELOW)
    const absent = Number.isNaN(value)
    const stronger = !known || a > known.surprise
    const anomaly: Anomaly = {
      id: known?.id ?? contentId('a', meta.key, startMs),
      series: row,
      key: meta.key,
      metric: meta.metric,
      labels: meta.labels,
      entity: meta.entity,
      tenant: meta.tenant,
      status: closed ? 'closed' : 'open',
      startMs,
      endMs,
      detectedMs: known?.detectedMs ?? endMs,
      observed: stronger ? value : known.observed,
      expected: stronger ? model.m : known.expected,
      lower: model.m - 3 * model.s,
      upper: model.m + 3 * model.s,
      direction: absent ? 'absent' : model.direction < 0 ? 'drop' : 'spike',
      surprise: Math.max(a || 0, known?.surprise ?? 0),
      tailProbability: 10 ** -Math.max(a || 0, known?.surprise ?? 0),
      score: Math.min(100, 12 * (a || 0)),
      severity: a >= 8 ? 'critical' : a >= 6 ? 'major' : 'minor',
      imputed: false,
      detectors: [{ id: 'deviation@1', share: 1 }],
      why: [`${meta.metric} is strange`],
    }
    if (closed) this.#open.delete(row)
    else this.#open.set(row, anomaly)
    return { event: closed ? 'closed' : known ? 'updated' : 'opened', anomaly }
  }
}
