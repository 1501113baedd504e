import type { SeriesRows } from '../core/series.ts'
import {
  CENTRE,
  fillInput,
  normalised,
  type RunningColumns,
  runningScale,
  SCALE,
  windowScale,
} from './model-input.ts'
import { fits, type ModelPlan, pastOf, type Slot, slotOf } from './model-plan.ts'
import type { ModelRings } from './model-rings.ts'
import type { Group } from './model-roster.ts'

/** Rows of one window that a model covers: dense columns of their own. */
export interface OwnRows {
  length: number
  /** Place in the batch, row among the covered, value. */
  places: Uint32Array
  covered: Uint32Array
  observed: Float64Array
  /** Place among these rows by covered row; −1 where the window has none. */
  of: Int32Array
  /** Entities that have rows, in the order of their first. */
  groups: Group[]
  endMs: number
}

export function ownRows(capacity: number): OwnRows {
  return {
    length: 0,
    places: new Uint32Array(capacity),
    covered: new Uint32Array(capacity),
    observed: new Float64Array(capacity),
    of: new Int32Array(capacity).fill(-1),
    groups: [],
    endMs: NaN,
  }
}

/** Of a window's values this share must be there. */
const PRESENT_LEAST = 0.5

/** Candidates of one filter for the slots that ask for it. */
interface Filter {
  readonly slot: Slot
  rows: readonly number[]
}

interface Casting {
  changes: number
  filters: Filter[]
}

/**
 * The input of one version for one window: a row for each series or entity, and what belongs to it. A window is the
 * present one (`back` 0: its newest values are those of `own`), or `back` windows ago as the rings hold it.
 */
export class ModelQuestion {
  rows = 0
  input = new Float32Array(0)
  /** By row and metric: place in `own` (−1: there is none), covered row (−1: the metric is lacking), newest value in the model's units. */
  ownOf = new Int32Array(0)
  coveredOf = new Int32Array(0)
  newest = new Float64Array(0)
  centre = new Float64Array(0)
  scale = new Float64Array(0)
  readonly #plan: ModelPlan
  readonly #past: number
  readonly #slots: readonly Slot[]
  /** The filter of each slot: slots that differ in their rank only share one. */
  readonly #filterOf: readonly number[]
  readonly #filters: readonly Slot[]
  readonly #line: Float64Array
  readonly #scratch: Float64Array
  readonly #found = new Float64Array(2)
  readonly #castings = new WeakMap<Group, Casting>()

  constructor(plan: ModelPlan) {
    this.#plan = plan
    this.#past = pastOf(plan)
    this.#line = new Float64Array(plan.length)
    this.#scratch = new Float64Array(plan.length)
    this.#slots = plan.of === 'series' ? [] : plan.metrics.map(text => slotOf(text) as Slot)
    const keys = this.#slots.map(({ metric, kind }) => `${metric ?? ''} ${kind ?? ''}`)
    const distinct = [...new Set(keys)]
    this.#filterOf = keys.map(key => distinct.indexOf(key))
    this.#filters = distinct.map(key => this.#slots[keys.indexOf(key)])
  }

  /** Metrics a row. */
  get width(): number {
    return this.#plan.metrics.length
  }

  /** Fills the input from what the rings hold. */
  ask(own: OwnRows, back: number, rings: ModelRings, covered: SeriesRows, running: RunningColumns): void {
    this.#reserve(this.#plan.of === 'series' ? own.length : own.groups.length)
    this.rows = 0
    if (this.#plan.of === 'series') {
      for (let k = 0; k < own.length; k++) {
        const c = own.covered[k]
        if (!this.#place(this.rows, 0, c, own, back, rings, running)) continue
        if (Number.isNaN(this.newest[this.rows])) continue
        this.ownOf[this.rows++] = k
      }
      return
    }
    for (const group of own.groups) this.#askGroup(group, own, back, rings, covered, running)
  }

  #askGroup(
    group: Group,
    own: OwnRows,
    back: number,
    rings: ModelRings,
    covered: SeriesRows,
    running: RunningColumns,
  ): void {
    const row = this.rows
    const { width } = this
    const ranked = this.#casting(group, covered).filters.map(({ rows }) =>
      rows.length < 2 ? rows : byStrangeness(rows, c => strangeness(rings, c, newestOf(own, rings, c, back))),
    )
    let present = 0
    for (let j = 0; j < width; j++) {
      const at = row * width + j
      const c = ranked[this.#filterOf[j]][this.#slots[j].rank] ?? -1
      this.ownOf[at] = -1
      this.coveredOf[at] = -1
      if (c >= 0 && this.#place(row, j, c, own, back, rings, running)) {
        present++
        this.ownOf[at] = own.of[c]
        continue
      }
      this.newest[at] = NaN
      const from = row * this.#plan.inputWidth + j * this.#plan.length
      this.input.fill(0, from, from + this.#plan.length)
    }
    if (present > 0) this.rows++
  }

  /** Which series of an entity each filter lets through; worked out again when the entity has changed. */
  #casting(group: Group, covered: SeriesRows): Casting {
    let casting = this.#castings.get(group)
    if (casting?.changes === group.changes) return casting
    casting = {
      changes: group.changes,
      filters: this.#filters.map(slot => ({
        slot,
        rows: group.rows.filter(c => fits(slot, covered.meta(c)) && this.#inScope(covered, c)),
      })),
    }
    this.#castings.set(group, casting)
    return casting
  }

  #inScope(covered: SeriesRows, c: number): boolean {
    const { scope } = this.#plan
    return scope === null || scope.includes(covered.meta(c).kind)
  }

  /** Writes the window of one series as a metric of an input row; false when too little is known of it. */
  #place(
    row: number,
    slot: number,
    c: number,
    own: OwnRows,
    back: number,
    rings: ModelRings,
    running: RunningColumns,
  ): boolean {
    const { length, by, inputWidth } = this.#plan
    const gap = back === 0 ? rings.gap(c, own.endMs) : 0
    if (rings.known[c] + gap - back < this.#past) return false
    const newest = newestOf(own, rings, c, back)
    const line = this.#line
    const gaps = Math.min(gap, this.#past)
    rings.read(c, back, this.#past - gaps, line, 0)
    line.fill(NaN, this.#past - gaps, this.#past)
    if (this.#past < length) line[this.#past] = newest
    const found = this.#found
    found[CENTRE] = 0
    found[SCALE] = 1
    if (by === 'window') windowScale(line, length, this.#scratch, found)
    else if (by === 'running') runningScale(running, c, found)
    const clips = by === 'running'
    const at = row * this.width + slot
    const from = row * inputWidth + slot * length
    const present = fillInput(line, length, found[CENTRE], found[SCALE], clips, this.input, from)
    if (present < PRESENT_LEAST * length) return false
    this.coveredOf[at] = c
    this.centre[at] = found[CENTRE]
    this.scale[at] = found[SCALE]
    this.newest[at] = normalised(newest, found[CENTRE], found[SCALE], clips)
    return true
  }

  #reserve(rows: number): void {
    if (this.input.length >= rows * this.#plan.inputWidth) return
    const room = Math.max(rows, 64)
    this.input = new Float32Array(room * this.#plan.inputWidth)
    this.ownOf = new Int32Array(room * this.width)
    this.coveredOf = new Int32Array(room * this.width)
    this.newest = new Float64Array(room * this.width)
    this.centre = new Float64Array(room * this.width)
    this.scale = new Float64Array(room * this.width)
  }

  bytes(): number {
    return this.input.byteLength + this.ownOf.length * 32
  }
}

/** The value that a window ends with. */
export function newestOf(own: OwnRows, rings: ModelRings, c: number, back: number): number {
  if (back > 0) return rings.at(c, back - 1)
  const k = own.of[c]
  return k < 0 ? NaN : own.observed[k]
}

/** How far a value lies from the level of its series, in spreads; −1 for a gap. */
export function strangeness(rings: ModelRings, c: number, value: number): number {
  if (Number.isNaN(value) || rings.count[c] === 0) return -1
  const level = rings.mean[c]
  return Math.abs(value - level) / Math.max(rings.deviation[c], 1e-3 * Math.abs(level), 1e-9)
}

/** The strangest first, ties in the order given. */
function byStrangeness(rows: readonly number[], of: (c: number) => number): number[] {
  const found = rows.map(of)
  return rows
    .map((c, i) => [c, i] as const)
    .sort((a, b) => found[b[1]] - found[a[1]] || a[1] - b[1])
    .map(([c]) => c)
}
