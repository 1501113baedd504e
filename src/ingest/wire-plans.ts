import { seriesKey } from '../core/series.ts'
import { Families, TYPE } from './families.ts'
import { addMember, type Group, ROLE_COUNT, ROLE_SUM, Statistics } from './groups.ts'
import { parseKey, rateUnit, unitFor } from './naming.ts'
import type { IntakeOptions } from './options.ts'
import type { WireSpec } from './point-sink.ts'
import type { PointStream } from './points.ts'
import { PLAN } from './wire-records.ts'
import type { WireTable } from './wire-table.ts'

/** Who converts by the plans. */
export interface PlansHost {
  reject(reason: string, detail: string): void
  /** A sample that was held back until its wire's plan was known. */
  sample(wire: number, timeMs: number, value: number): boolean
  /** A wire is about to be no more. */
  forgotten(wire: number): void
}

/**
 * How each wire is converted, by what its name, its labels, its siblings and declared metadata say, and what wires have in common:
 * groups of buckets, streams of whole histograms.
 */
export class WirePlans {
  readonly families = new Families()
  readonly groups: (Group | undefined)[] = []
  readonly freeGroups: number[] = []
  readonly groupIndex = new Map<string, number>()
  readonly streams = new Map<number, PointStream>()
  readonly table: WireTable
  readonly #options: IntakeOptions
  readonly #host: PlansHost
  /** Families that were declared and not settled yet. */
  readonly #news = new Set<string>()

  constructor(options: IntakeOptions, table: WireTable, host: PlansHost) {
    this.#options = options
    this.table = table
    this.#host = host
  }

  declare(family: string, type: number, unit: string, nowS: number): void {
    if (this.families.declare(family, type, unit, nowS)) this.#news.add(family)
  }

  /** Converts anew what was guessed otherwise: looks at all wires, so once for all that a body declares. */
  settle(): void {
    const news = this.#news
    if (news.size === 0) return
    const { table } = this
    for (let wire = 0; wire < table.length; wire++) {
      const plan = table.plan(wire)
      if (plan === PLAN.free || plan === PLAN.output || plan === PLAN.refused || table.type(wire) !== 0)
        continue
      const text = table.text(wire)
      const brace = text.indexOf('{')
      const name = brace < 0 ? text : text.slice(0, brace)
      if (!news.has(name) && !news.has(Families.base(name))) continue
      const { metric, labels } = parseKey(text)
      this.#replan(wire, metric, labels)
    }
    news.clear()
  }

  /** Frees a wire with all that hangs on it alone. */
  drop(wire: number): void {
    const { table } = this
    this.#host.forgotten(wire)
    this.families.forget(wire)
    if (table.plan(wire) === PLAN.output) {
      const group = table.group(wire)
      // An output's group column holds its group, or −2 − wire of its point stream.
      const statistics =
        group >= 0 ? this.groups[group]?.statistics : this.streams.get(-2 - group)?.statistics
      if (statistics) {
        statistics.wires[table.bound(wire)] = -1
        table.remove(wire)
        if (statistics.wires.every(other => other < 0)) {
          if (group >= 0) for (const member of [...(this.groups[group]?.members ?? [])]) this.drop(member)
          else this.drop(-2 - group)
        }
      } else table.remove(wire)
      return
    }
    if (table.plan(wire) === PLAN.member) this.#leaveGroup(wire)
    const stream = this.streams.get(wire)
    if (stream) {
      this.streams.delete(wire)
      for (const output of stream.statistics.wires) if (output >= 0) table.remove(output)
    }
    table.remove(wire)
  }

  /** Decides how a wire is converted. */
  plan(wire: number, spec: WireSpec): void {
    const { table, families } = this
    const { metric, labels } = spec
    const type = spec.type === TYPE.unknown ? families.type(metric) : spec.type
    const base = Families.base(metric)
    const unit = unitFor(base, spec.unit || families.unit(metric))
    table.setOrigin(wire, spec.tenant, unit)
    if (type === TYPE.points) {
      table.setPlan(wire, PLAN.points)
      table.setGroup(wire, -2 - wire, 0)
      this.streams.set(wire, {
        statistics: new Statistics(seriesKey(`${metric}%`, labels)),
        memory: undefined,
      })
      return
    }
    // What the name alone leaves open is looked at again when a sibling tells.
    const siblings = families.evidence(wire, metric, labels, type)
    const role = families.role(metric, labels, type)
    if (role === 'counter' || role === 'delta') {
      table.setPlan(wire, role === 'counter' ? PLAN.counter : PLAN.delta)
      table.setOrigin(wire, spec.tenant, rateUnit(unit))
    } else if (role === 'bucket' || role === 'sum' || role === 'count') {
      const bound =
        role === 'bucket'
          ? Number(labels.le.replace('+Inf', 'Infinity'))
          : role === 'sum'
            ? ROLE_SUM
            : ROLE_COUNT
      if (role === 'bucket' && (Number.isNaN(bound) || labels.le === '')) {
        this.#host.reject('malformed', `${metric}: le="${labels.le}" is not a bound`)
        table.setPlan(wire, PLAN.drop)
        return
      }
      this.#join(wire, spec.tenant, base, labels, bound)
    } else if (role === 'quantile') {
      const { quantile, ...rest } = labels
      table.setText(wire, seriesKey(`${metric}:p${Number((Number(quantile) * 100).toPrecision(6))}`, rest))
      table.setPlan(wire, PLAN.gauge)
    } else table.setPlan(wire, PLAN[role])
    for (const sibling of siblings) {
      const its = table.plan(sibling)
      if (its === PLAN.gauge || its === PLAN.waiting) {
        const { metric: name, labels: theirs } = parseKey(table.text(sibling))
        if (Families.base(name) === base) this.#replan(sibling, name, theirs)
      }
    }
    // A gauge most often has a row in a moment, which says the same.
    if (table.plan(wire) !== PLAN.gauge) table.keepText()
  }

  #replan(wire: number, metric: string, labels: Record<string, string>): void {
    const { table } = this
    const heldMs = table.plan(wire) === PLAN.waiting ? table.curMs(wire) : 0
    const held = table.cur(wire)
    if (table.plan(wire) === PLAN.member) this.#leaveGroup(wire)
    table.detach(wire)
    table.setLast(wire, table.last(wire), 0)
    table.leaveGroup(wire)
    this.plan(wire, {
      tenant: table.tenant(wire),
      metric,
      labels,
      type: table.type(wire),
      unit: '',
    })
    table.endCur(wire)
    if (heldMs > 0) this.#host.sample(wire, heldMs, held)
  }

  #join(wire: number, tenant: string, base: string, labels: Record<string, string>, bound: number): void {
    const { table } = this
    const { le: _, ...rest } = labels
    const key = seriesKey(`${base}%`, rest)
    const at = `${tenant}/${key}`
    let index = this.groupIndex.get(at)
    if (index === undefined) {
      index = this.freeGroups.pop() ?? this.groups.length
      this.groups[index] = {
        key: at,
        statistics: new Statistics(key),
        members: [],
        prevMs: 0,
        curMs: 0,
        seen: 0,
      }
      this.groupIndex.set(at, index)
    }
    const group = this.groups[index] as Group
    if (group.members.length >= this.#options.bucketsMax) {
      this.#host.reject('bucket-limit', `${base}: more than ${this.#options.bucketsMax} buckets`)
      table.setPlan(wire, PLAN.drop)
      return
    }
    table.setPlan(wire, PLAN.member)
    table.setGroup(wire, index, bound)
    addMember(table, group, wire)
  }

  #leaveGroup(wire: number): void {
    const { table } = this
    const index = table.group(wire)
    const group = this.groups[index]
    if (!group) return
    // Of a moment whose members were all stale none is counted any more.
    if (group.seen > 0 && table.curMs(wire) === group.curMs) group.seen--
    group.members.splice(group.members.indexOf(wire), 1)
    if (group.members.length > 0) return
    for (const output of group.statistics.wires) if (output >= 0) table.remove(output)
    this.groupIndex.delete(group.key)
    this.groups[index] = undefined
    this.freeGroups.push(index)
  }
}
