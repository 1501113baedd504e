import { CHUNK_ROWS } from '../core/columns.ts'
import type { DetectorContext } from '../core/detector.ts'
import { SeriesTable } from '../core/series.ts'
import { RidgeDetector } from './ridge.ts'
import { REFRESH_ROWS } from './ridge-block.ts'
import { type CoverOptions, costOf, type Entity, isGolden, METRICS_LEAST, Spending } from './ridge-cover.ts'
import { RidgeWorkspace } from './ridge-workspace.ts'

/** Series judged together with others at most: one chunk of calibration. */
const SERIES_MAX = CHUNK_ROWS

/**
 * Which series are judged together with the others of their entity. Golden signals first: an entity that has one takes
 * the place of one that has none when the budget is spent. What the budget does not cover waits and is counted.
 */
export class RidgeRoster {
  /** The series that are judged, in rows of their own, so that what is kept of them is dense. */
  readonly covered = new SeriesTable(SERIES_MAX)
  readonly #context: DetectorContext
  readonly #options: CoverOptions
  readonly #spending: Spending
  readonly #workspace = new RidgeWorkspace()
  readonly #byKey = new Map<string, number>()
  readonly #entities: (Entity | undefined)[] = []
  readonly #free: number[] = []
  /** Entity plus one, and metric within it plus one (0: not judged), by row of the series table. */
  #entityOf = new Uint32Array(0)
  #metricOf = new Uint16Array(0)
  #coveredOf = new Uint32Array(0)
  /** Entities with series that wait. */
  readonly #waiting = new Set<Entity>()
  /** Those of them to be asked in the next window where not all are: new ones. */
  #asked = new Set<Entity>()
  /** Something was given back: all are. */
  #asksAll = false
  /** Entities that may have to make room, the last admitted at the end; found when first needed in a window. */
  #yielding: Entity[] | undefined
  #turns = 0
  readonly #onLeave: (coveredRow: number) => void

  /** `onLeave`: a series is no longer judged, its row among the covered will be used again. */
  constructor(context: DetectorContext, options: CoverOptions, onLeave: (coveredRow: number) => void) {
    this.#context = context
    this.#options = options
    this.#spending = new Spending(options, context.stepMs)
    this.#onLeave = onLeave
  }

  /** The entity a row is judged with. */
  entityOf(row: number): Entity | undefined {
    return row < this.#metricOf.length && this.#metricOf[row] > 0
      ? this.#entities[this.#entityOf[row] - 1]
      : undefined
  }

  /** The row's metric within its entity; −1 when it is not judged. */
  metricOf(row: number): number {
    return row < this.#metricOf.length ? this.#metricOf[row] - 1 : -1
  }

  /** Row among the covered of a series that is judged. */
  coveredRow(row: number): number {
    return this.#coveredOf[row]
  }

  /** Whether a series is known, judged or not. */
  knows(row: number): boolean {
    return row < this.#entityOf.length && this.#entityOf[row] > 0
  }

  /** Entities that are judged, in the order of their admission. */
  judged(): Entity[] {
    const all = this.#entities.filter((one): one is Entity => one?.detector !== undefined)
    return all.sort((a, b) => a.turn - b.turn)
  }

  /** Names a series that was not known. */
  add(row: number): void {
    this.#reserve(row)
    const meta = this.#context.series.meta(row)
    const key = `${meta.tenant}/${meta.entity}`
    let at = this.#byKey.get(key)
    if (at === undefined) {
      at = this.#free.pop() ?? this.#entities.length
      this.#entities[at] = {
        key,
        name: meta.entity,
        members: [],
        waiting: [],
        golden: 0,
        turn: -1,
        detector: undefined,
        values: new Float64Array(0),
        stamp: -1,
        learnedEndMs: NaN,
      }
      this.#byKey.set(key, at)
    }
    const entity = this.#entities[at] as Entity
    this.#entityOf[row] = at + 1
    if (isGolden(meta)) entity.golden++
    entity.waiting.push(row)
    this.#waiting.add(entity)
    this.#asked.add(entity)
  }

  /** Takes in those that wait as far as the budget goes; true when anything changed. */
  admit(windowEndMs: number): boolean {
    if (this.#asksAll) this.#asked = new Set(this.#waiting)
    this.#asksAll = false
    if (this.#asked.size === 0) return false
    let isChanged = false
    this.#yielding = undefined
    // Golden signals first, then those that are judged already, then as they came.
    const order = [...this.#asked].sort(
      (a, b) => Number(b.golden > 0) - Number(a.golden > 0) || Number(b.turn >= 0) - Number(a.turn >= 0),
    )
    this.#asked = new Set()
    for (const entity of order) {
      // The other series of an entity that is already learned in this window belong to another batch of it.
      if (entity.learnedEndMs === windowEndMs) continue
      if (entity.detector === undefined ? this.#start(entity) : this.#extend(entity)) isChanged = true
      if (entity.waiting.length === 0) this.#waiting.delete(entity)
    }
    return isChanged
  }

  #start(entity: Entity): boolean {
    const rows = this.#choose(entity)
    if (rows.length < METRICS_LEAST || !this.#makeRoom(entity, rows.length)) return false
    entity.turn = this.#turns++
    const detector = this.#newDetector(rows.length, entity.turn % REFRESH_ROWS)
    const chosen = new Set(rows)
    entity.waiting = entity.waiting.filter(row => !chosen.has(row))
    this.seat(entity, detector, rows)
    return true
  }

  /** Puts a detector and its members in place. */
  seat(entity: Entity, detector: RidgeDetector, rows: readonly number[]): void {
    entity.detector = detector
    entity.members = [...rows]
    entity.values = new Float64Array(rows.length).fill(NaN)
    for (const [metric, row] of rows.entries()) this.#enter(row, metric)
    this.#spending.move(0, rows.length)
  }

  #enter(row: number, metric: number): void {
    this.#metricOf[row] = metric + 1
    this.#coveredOf[row] = this.covered.intern(this.#context.series.meta(row))
  }

  /** The waiting rows that fit one entity: golden signals first, then in the order of rows, as `score` has columns. */
  #choose(entity: Entity): number[] {
    const { series } = this.#context
    const room = Math.min(this.#options.maxMetrics, SERIES_MAX - this.covered.size)
    const golden = (row: number) => Number(isGolden(series.meta(row)))
    return entity.waiting
      .toSorted((a, b) => golden(b) - golden(a) || a - b)
      .slice(0, Math.max(0, room))
      .sort((a, b) => a - b)
  }

  /** Whether the budget holds so many metrics, if need be in the place of entities without golden signals. */
  #makeRoom(entity: Entity, metrics: number): boolean {
    if (this.#spending.allows(0, metrics)) return true
    if (entity.golden === 0) return false
    this.#yielding ??= this.judged().filter(other => other.golden === 0)
    const others = this.#yielding
    const freed = { bytes: 0, ops: 0 }
    let kept = others.length
    while (!this.#spending.allows(0, metrics, freed)) {
      if (kept === 0) return false
      const cost = costOf(others[--kept].members.length, this.#context.stepMs, this.#options.warmUpMax)
      freed.bytes += cost.bytes
      freed.ops += cost.ops
    }
    for (const other of others.splice(kept)) this.#stop(other)
    return true
  }

  #extend(entity: Entity): boolean {
    const rows = entity.waiting
    entity.waiting = []
    let isChanged = false
    for (const row of rows) {
      const metrics = entity.members.length
      const isRoom = metrics < this.#options.maxMetrics && this.covered.size < SERIES_MAX
      if (!isRoom || !this.#spending.allows(metrics, metrics + 1)) {
        entity.waiting.push(row)
        continue
      }
      entity.detector?.grow()
      entity.members.push(row)
      this.#enter(row, metrics)
      this.#spending.move(metrics, metrics + 1)
      isChanged = true
    }
    if (isChanged) entity.values = new Float64Array(entity.members.length).fill(NaN)
    return isChanged
  }

  /** No longer judges an entity; its series wait. */
  #stop(entity: Entity): void {
    this.#spending.move(entity.members.length, 0)
    for (const row of entity.members) {
      this.#leave(row)
      entity.waiting.push(row)
    }
    entity.members = []
    entity.detector = undefined
    entity.turn = -1
    this.#waiting.add(entity)
    if (this.covered.size === 0) this.#turns = 0
  }

  #leave(row: number): void {
    this.#metricOf[row] = 0
    const own = this.#coveredOf[row]
    this.#onLeave(own)
    this.covered.evict(own)
  }

  /** Drops a series wholly. The row must still be in the series table. */
  forget(row: number): void {
    if (!this.knows(row)) return
    const at = this.#entityOf[row] - 1
    const entity = this.#entities[at] as Entity
    if (isGolden(this.#context.series.meta(row))) entity.golden--
    const metric = this.metricOf(row)
    if (metric >= 0) {
      this.#leave(row)
      const before = entity.members.length
      entity.members.splice(metric, 1)
      this.#spending.move(before, before - 1)
      entity.detector?.shrink(metric)
      for (let j = metric; j < entity.members.length; j++) this.#metricOf[entity.members[j]] = j + 1
      entity.values = new Float64Array(entity.members.length).fill(NaN)
      if (entity.members.length < METRICS_LEAST) this.#stop(entity)
      this.#asksAll = true
    }
    entity.waiting = entity.waiting.filter(other => other !== row)
    this.#entityOf[row] = 0
    if (entity.members.length + entity.waiting.length > 0) return
    this.#waiting.delete(entity)
    this.#asked.delete(entity)
    this.#byKey.delete(entity.key)
    this.#entities[at] = undefined
    this.#free.push(at)
  }

  #newDetector(metrics: number, phase: number): RidgeDetector {
    const { stepMs } = this.#context
    const { warmUpMax } = this.#options
    return new RidgeDetector({ metrics, phase, stepMs, warmUpMax, workspace: this.#workspace })
  }

  /** An entity as it was saved; undefined when the budget of now does not hold it. */
  revive(rows: readonly number[], phase: number): { entity: Entity; detector: RidgeDetector } | undefined {
    for (const row of rows) if (!this.knows(row)) this.add(row)
    const entity = this.#entities[this.#entityOf[rows[0]] - 1] as Entity
    const isRoom = this.covered.size + rows.length <= SERIES_MAX && rows.length <= this.#options.maxMetrics
    if (!isRoom || !this.#spending.allows(0, rows.length)) return undefined
    const chosen = new Set(rows)
    entity.waiting = entity.waiting.filter(row => !chosen.has(row))
    if (entity.waiting.length === 0) this.#waiting.delete(entity)
    entity.turn = this.#turns++
    return { entity, detector: this.#newDetector(0, phase) }
  }

  get turns(): number {
    return this.#turns
  }

  set turns(turns: number) {
    this.#turns = Math.max(this.#turns, turns)
  }

  /** What is covered and what the budget leaves out. */
  counts(): Record<'entities' | 'series' | 'entities-waiting' | 'series-waiting', number> {
    let entities = 0
    let waiting = 0
    let left = 0
    for (const entity of this.#entities) {
      if (entity === undefined) continue
      if (entity.detector !== undefined) entities++
      // A series that is alone in its entity has no others to be judged by.
      else if (entity.waiting.length >= METRICS_LEAST) left++
      if (entity.members.length + entity.waiting.length >= METRICS_LEAST) waiting += entity.waiting.length
    }
    return { entities, series: this.covered.size, 'entities-waiting': left, 'series-waiting': waiting }
  }

  #reserve(row: number): void {
    if (row < this.#entityOf.length) return
    const length = Math.max(row + 1, 2 * this.#entityOf.length, 1024)
    const entityOf = new Uint32Array(length)
    entityOf.set(this.#entityOf)
    this.#entityOf = entityOf
    const metricOf = new Uint16Array(length)
    metricOf.set(this.#metricOf)
    this.#metricOf = metricOf
    const coveredOf = new Uint32Array(length)
    coveredOf.set(this.#coveredOf)
    this.#coveredOf = coveredOf
  }

  bytes(): number {
    let sum = 10 * this.#entityOf.length + this.#workspace.bytes()
    for (const entity of this.#entities) {
      if (entity === undefined) continue
      // The object itself, its place in the map, and eight bytes a series.
      sum += 200 + 16 * (entity.members.length + entity.waiting.length) + (entity.detector?.bytes() ?? 0)
    }
    return sum
  }
}
