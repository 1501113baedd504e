import type { Anomaly } from '../core/anomaly.ts'
import type { ModelState } from '../core/model.ts'
import type { SeriesTable } from '../core/series.ts'
import type { AnomalyChange, Scoring } from '../core/stages.ts'
import { alertingOf, detectorsOf, modelsOf, poolOf, profileUseOf } from './reports.ts'
import type { ShardMap } from './shard-map.ts'
import { SharedBudgets } from './shared-budgets.ts'
import type { FromShard, ShardReport } from './words.ts'

interface Around {
  readonly series: SeriesTable
  readonly map: ShardMap
  /** A series is rich no more. */
  readonly onPlain: (row: number) => void
  /** Scoring as it would be done here, for who asks before any worker has said anything. */
  readonly listed: Scoring
}

/** What workers have said beside opinions, with the rows of the series table, as the main thread is asked for it. */
export class Heard {
  readonly #shards: number
  readonly #around: Around
  readonly budgets: SharedBudgets
  readonly #anomalies = new Map<string, Anomaly>()
  readonly #reports: (ShardReport | undefined)[]
  #digests: Record<string, string> = {}
  /** 1: a series that everything looks at. */
  #rich = new Uint8Array(0)

  constructor(shards: number, around: Around) {
    this.#shards = shards
    this.#around = around
    this.#reports = Array.from({ length: shards }, () => undefined)
    this.budgets = new SharedBudgets(shards)
  }

  /** Takes a worker's word; returns what became of anomalies. */
  hear(shard: number, word: FromShard): readonly AnomalyChange[] {
    if (word.report) this.#reports[shard] = word.report
    if (word.digests) this.#digests = { ...this.#digests, ...word.digests }
    if (word.moves) this.#move(shard, word.moves)
    if (word.budgets) this.budgets.heard(shard, word.budgets)
    for (const anomaly of word.anomalies ?? []) this.#anomalies.set(anomaly.id, this.#global(anomaly))
    const changes = (word.changes ?? []).map(({ event, anomaly }) => ({
      event,
      anomaly: this.#global(anomaly),
    }))
    for (const { event, anomaly } of changes) {
      if (event === 'closed') this.#anomalies.delete(anomaly.id)
      else this.#anomalies.set(anomaly.id, anomaly)
    }
    return changes
  }

  #global(anomaly: Anomaly): Anomaly {
    if (this.#shards === 1 || anomaly.series < 0) return anomaly
    return { ...anomaly, series: this.#around.series.row(anomaly.key) }
  }

  #move(shard: number, moves: Int32Array): void {
    const { map, onPlain } = this.#around
    for (const move of moves) {
      const row = map.seriesAt(shard, Math.abs(move) - 1)
      if (row < 0) continue
      if (row >= this.#rich.length) {
        const longer = new Uint8Array(Math.max(1024, row + 1 + (row >> 1)))
        longer.set(this.#rich)
        this.#rich = longer
      }
      this.#rich[row] = move > 0 ? 1 : 0
      if (move < 0) onPlain(row)
    }
  }

  nextRich(series: Uint32Array, from: number, length: number): number {
    for (let i = from; i < length; i++) if (this.#rich[series[i]] === 1) return i
    return length
  }

  forget(series: number): void {
    if (series < this.#rich.length) this.#rich[series] = 0
  }

  letGo(): void {
    this.#anomalies.clear()
  }

  anomalies(): readonly Anomaly[] {
    return [...this.#anomalies.values()]
  }

  get #known(): readonly ShardReport[] {
    return this.#reports.flatMap(report => report ?? [])
  }

  reportOf(shard: number): ShardReport | undefined {
    return this.#reports[shard]
  }

  get detectors(): Scoring['detectors'] {
    const known = this.#known
    return known.length === 0 ? this.#around.listed.detectors : detectorsOf(known)
  }

  pool() {
    return poolOf(this.#known)
  }

  alerting() {
    const known = this.#known
    return known.length === 0 ? this.#around.listed.alerting?.() : alertingOf(known)
  }

  profileUse() {
    return profileUseOf(this.#known)
  }

  models(): readonly ModelState[] {
    return modelsOf(this.#known)
  }

  /** Digests of the versions that speak now, and of those among `names` that did. */
  digests(names: Iterable<string>): Readonly<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const { champion, challenger, model } of this.models())
      for (const version of [champion, challenger?.mode === 'canary' ? challenger : null])
        if (version && version.problem === undefined) found[`${model}@${version.version}`] = version.digest
    for (const name of names) if (this.#digests[name] !== undefined) found[name] = this.#digests[name]
    return found
  }

  bytes(): number {
    return this.#known.reduce((sum, { bytes }) => sum + bytes, this.#rich.byteLength)
  }
}
