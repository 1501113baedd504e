import type { SeriesTable } from '../core/series.ts'
import { seriesKey } from '../core/series.ts'
import { ARRIVAL_S, GAP_MS, LATEST_MS } from '../kernels/assembly/_wire-layout.ts'
import { Births } from './births.ts'
import { Emitter } from './emitter.ts'
import { addToGroup, type Group, type GroupScratch, restart } from './groups.ts'
import { IdleWires } from './idle-wires.ts'
import type { LegacyWires } from './legacy-wires.ts'
import { wireText } from './naming.ts'
import type { IntakeOptions } from './options.ts'
import type { PointSink, WireSpec } from './point-sink.ts'
import { addPoint, addPointGap, type HistogramPoint } from './points.ts'
import type { Tally } from './tally.ts'
import { WirePlans } from './wire-plans.ts'
import { PLAN } from './wire-records.ts'
import { WireTable } from './wire-table.ts'

/** Wire samples → converted samples: rates, quantiles, means; all state between bodies is here. */
export class Converter implements PointSink {
  readonly table: WireTable
  readonly converts = true
  readonly plans: WirePlans
  readonly series: SeriesTable
  readonly idle: IdleWires
  /** Wires of a checkpoint of the old layout that were not seen since. */
  legacy: LegacyWires | undefined
  readonly #births: Births
  readonly #out: Emitter
  readonly #tally: Tally
  readonly #options: IntakeOptions
  readonly #scratch: GroupScratch

  /** One sample on its way: time (Unix ms), value, start of the count (Unix ms, 0 when not said). */
  readonly io = new Float64Array(3)
  #arrivalS = 0
  #latestMs = 0
  /** Wires dropped because the table was full. */
  evictions = 0

  constructor(options: IntakeOptions, series: SeriesTable, tally: Tally) {
    this.#options = options
    this.#tally = tally
    this.series = series
    this.idle = new IdleWires(options.wireIdleMs)
    this.table = new WireTable(options.wiresMax, (wire, row) => {
      const plan = this.table.plan(wire)
      return wireText(series.meta(row), plan === PLAN.counter || plan === PLAN.delta)
    })
    this.plans = new WirePlans(options, this.table, {
      reject: (reason, detail) => this.reject(reason, detail),
      sample: (wire, timeMs, value) => this.sample(wire, timeMs, value),
      forgotten: wire => this.legacy?.forget(wire),
    })
    this.#births = new Births(options, this.table, series, this.plans.families)
    this.#out = new Emitter(this.table, series, this.#births, tally, options, this.io)
    this.#scratch = {
      bounds: new Float64Array(options.bucketsMax),
      cumulative: new Float64Array(options.bucketsMax),
    }
  }

  /** None while a series that seems new may be one of a checkpoint of the old layout. */
  get births(): Births | undefined {
    return this.legacy === undefined ? this.#births : undefined
  }

  begin(arrivalMs: number, take: Parameters<Emitter['begin']>[0]): void {
    this.#arrivalS = Math.max(0, Math.floor(arrivalMs / 1000))
    this.#latestMs = arrivalMs + this.#options.futureMsMax
    const { i32, f64 } = this.table.memory
    i32[ARRIVAL_S >> 2] = this.#arrivalS
    f64[LATEST_MS >> 3] = this.#latestMs
    f64[GAP_MS >> 3] = this.#options.counterGapMsMax
    this.#out.begin(take)
  }

  flush(): void {
    this.#out.flush()
  }

  end(): void {
    this.#out.end()
  }

  /** A new wire for an identity that `table.find` does not know; −1 when the table is full. */
  define(a: number, b: number, check: number, spec: WireSpec): number {
    const { table } = this
    const text = seriesKey(spec.metric, spec.labels)
    const old = this.legacy?.find(table, text, spec) ?? -1
    if (old >= 0 && table.identify(old, a, b, check)) {
      table.setSeenS(old, this.#arrivalS)
      return old
    }
    if (table.size >= table.limit) this.idle.look(table, this.#arrivalS, this.#evict)
    const wire = table.add(a, b, check, text)
    if (wire < 0) {
      this.reject('series-limit', `${text}: ${table.limit} wire series are known already`)
      return -1
    }
    table.setType(wire, spec.type)
    table.setSeenS(wire, this.#arrivalS)
    this.plans.plan(wire, spec)
    return wire
  }

  /** A wire over a limit, so that its next sample is refused without looking at its labels again. */
  defineRefused(a: number, b: number, check: number, reason: string): void {
    const wire = this.table.add(a, b, check, reason)
    if (wire < 0) return
    this.table.setPlan(wire, PLAN.refused)
    this.table.setSeenS(wire, this.#arrivalS)
  }

  reject(reason: string, detail: string): void {
    if (this.#tally.reject(reason)) this.#tally.explain(reason, detail)
  }

  /** Takes one scalar sample, cumulative since `startMs` when that is known; false when it was refused. */
  sample(wire: number, timeMs: number, value: number, startMs = 0): boolean {
    const { io } = this
    io[0] = timeMs
    io[1] = value
    io[2] = startMs
    return this.take(wire)
  }

  /** The same with the numbers in `io`: handed over in memory, since a number argument may be boxed. */
  take(wire: number): boolean {
    const isTaken = this.#take(wire)
    this.table.keepText()
    return isTaken
  }

  #take(wire: number): boolean {
    const { table, io } = this
    table.setSeenS(wire, this.#arrivalS)
    const timeMs = io[0]
    if (!(timeMs > 0) || timeMs > this.#latestMs) return this.#refuseTime(wire, timeMs)
    if (io[1] === Number.POSITIVE_INFINITY || io[1] === Number.NEGATIVE_INFINITY) {
      return this.#refuse('not-finite', wire, io[1])
    }
    const plan = table.plan(wire)
    if (plan === PLAN.gauge) return this.#out.take(wire)
    if (plan === PLAN.counter) return this.#counter(wire)
    return this.#other(wire, plan, timeMs, io[1])
  }

  #other(wire: number, plan: number, timeMs: number, value: number): boolean {
    const { table } = this
    switch (plan) {
      case PLAN.delta:
        return this.#increment(wire, timeMs, value, 0)
      case PLAN.member: {
        const group = this.plans.groups[table.group(wire)] as Group
        const gapMs = this.#options.counterGapMsMax
        const why = addToGroup(table, this.#out, this.#scratch, group, wire, timeMs, value, gapMs)
        return why === '' ? true : this.#refuse(why, wire, timeMs)
      }
      case PLAN.waiting:
        return this.#wait(wire, timeMs, value)
      case PLAN.refused:
        return this.#refuse(table.text(wire), wire, value)
      default:
        return true
    }
  }

  /** Takes one increment since `startMs` (0 when not said: since the previous one). */
  increment(wire: number, startMs: number, timeMs: number, value: number): boolean {
    this.table.setSeenS(wire, this.#arrivalS)
    if (!(timeMs > 0) || timeMs > this.#latestMs) return this.#refuseTime(wire, timeMs)
    if (this.table.plan(wire) !== PLAN.delta) return this.sample(wire, timeMs, value)
    if (Math.abs(value) === Number.POSITIVE_INFINITY) return this.#refuse('not-finite', wire, value)
    return this.#increment(wire, timeMs, value, startMs)
  }

  /** Takes a whole histogram. */
  histogram(wire: number, point: HistogramPoint): boolean {
    const { table } = this
    table.setSeenS(wire, this.#arrivalS)
    if (!(point.timeMs > 0) || point.timeMs > this.#latestMs) return this.#refuseTime(wire, point.timeMs)
    const stream = this.plans.streams.get(wire)
    if (!stream) {
      if (table.plan(wire) === PLAN.refused) return this.#refuse(table.text(wire), wire, point.timeMs)
      return this.#refuse('type-conflict', wire, point.timeMs)
    }
    if (Number.isNaN(point.count)) {
      addPointGap(this.#out, stream, point.timeMs)
      return true
    }
    const why = addPoint(table, this.#out, stream, wire, point, this.#options.counterGapMsMax)
    return why === '' ? true : this.#refuse(why, wire, point.timeMs)
  }

  declare(family: string, type: number, unit: string): void {
    this.plans.declare(family, type, unit, this.#arrivalS)
  }

  settle(): void {
    this.plans.settle()
  }

  /** What was counted until now is no baseline for what comes: another clock or another path brought it. */
  letGo(): void {
    const { table } = this
    for (let wire = 0; wire < table.length; wire++) {
      const plan = table.plan(wire)
      if (plan === PLAN.counter || plan === PLAN.delta) table.setLast(wire, table.last(wire), 0)
      else if (plan === PLAN.waiting) table.endCur(wire)
    }
    for (const group of this.plans.groups) if (group) restart(table, group)
    for (const stream of this.plans.streams.values()) stream.memory = undefined
  }

  forget(row: number): void {
    for (let wire = this.table.head(row); wire >= 0; wire = this.table.head(row)) this.plans.drop(wire)
  }

  #wait(wire: number, timeMs: number, value: number): boolean {
    const { table } = this
    const heldMs = table.curMs(wire)
    if (heldMs === 0) {
      table.setCur(wire, value, timeMs)
      return true
    }
    // No sibling came with it: a level.
    table.setPlan(wire, PLAN.gauge)
    const held = this.#out.put(wire, heldMs, table.cur(wire))
    return this.#out.put(wire, timeMs, value) && held
  }

  /** Reads `io`; leaves the rate in it. */
  #counter(wire: number): boolean {
    const { table, io } = this
    const timeMs = io[0]
    const value = io[1]
    const lastMs = table.lastMs(wire)
    // A stale marker is a gap of the rate; the count itself goes on when its source returns.
    if (Number.isNaN(value)) return this.#out.take(wire)
    const sinceMs = timeMs - lastMs
    const gapMs = this.#options.counterGapMsMax
    if (lastMs > 0 && sinceMs <= 0 && sinceMs > -gapMs) return this.#refuse('out-of-order', wire, timeMs)
    const last = table.last(wire)
    table.setLast(wire, value, timeMs)
    if (lastMs <= 0 || sinceMs <= 0 || sinceMs > gapMs) return true
    const reset = value < last || io[2] > lastMs
    io[1] = ((reset ? Math.max(0, value) : value - last) * 1000) / sinceMs
    return this.#out.take(wire)
  }

  #increment(wire: number, timeMs: number, value: number, startMs: number): boolean {
    const { table } = this
    if (Number.isNaN(value)) return this.#out.put(wire, timeMs, value)
    const lastMs = table.lastMs(wire)
    const gapMs = this.#options.counterGapMsMax
    if (lastMs > 0 && timeMs <= lastMs && timeMs > lastMs - gapMs)
      return this.#refuse('out-of-order', wire, timeMs)
    const fromMs = startMs > 0 && startMs < timeMs ? startMs : lastMs
    table.setLast(wire, table.last(wire), timeMs)
    const spanMs = timeMs - fromMs
    if (fromMs <= 0 || spanMs <= 0 || spanMs > gapMs) return true
    return this.#out.put(wire, timeMs, (value * 1000) / spanMs)
  }

  #refuse(reason: string, wire: number, what: number): false {
    if (this.#tally.reject(reason)) this.#tally.explain(reason, `${this.table.text(wire)}: ${what}`)
    return false
  }

  #refuseTime(wire: number, timeMs: number): false {
    return this.#refuse(timeMs > this.#latestMs ? 'future' : 'time', wire, timeMs)
  }

  readonly #evict = (wire: number): void => {
    this.plans.drop(wire)
    this.evictions++
  }
}
