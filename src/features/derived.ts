import { ForeshockError } from '../core/errors.ts'
import { KIND_TRAITS, type MetricKind, metricKind, unitOf } from '../core/metric-kind.ts'
import { type Labels, type SeriesMeta, type SeriesTable, seriesKey } from '../core/series.ts'
import {
  type Aggregation,
  type CompiledExpression,
  compileExpression,
  type ExpressionInput,
  type SliExpression,
} from './expression.ts'

interface Member {
  readonly key: string
  readonly row: number
}

interface Group {
  readonly rule: Rule
  readonly meta: SeriesMeta
  /** Row of the derived series; −1 when it is not in the table. */
  row: number
  /** Per input and metric alternative the series, by key: sums do not depend on who came first. */
  readonly members: Member[][][]
}

interface Rule {
  readonly expression: SliExpression
  readonly compiled: CompiledExpression
  readonly groups: Map<string, Group>
  columns: Float64Array[]
  out: Float64Array
}

/** Mean of a series in the window that is being completed; NaN when it has none. */
type Observed = (row: number) => number

/** Derived series: which series feed which group, and their values in the window that is being completed. */
export class DerivedSeries {
  readonly #table: SeriesTable
  readonly #rules: Rule[]
  readonly #values = new Map<number, number>()
  readonly #coverage = new Map<number, number>()
  readonly #homes = new Map<number, Group[]>()
  readonly #owned = new Map<number, Group>()

  constructor(expressions: readonly SliExpression[], table: SeriesTable) {
    this.#table = table
    this.#rules = expressions.map((expression, i) => {
      if (expressions.findIndex(other => other.metric === expression.metric) !== i)
        throw new ForeshockError('FS_EXPRESSION_INVALID', `${expression.metric}: the metric is made twice`)
      const compiled = compileExpression(expression)
      const columns = compiled.inputs.map(() => new Float64Array(0))
      return { expression, compiled, groups: new Map(), columns, out: new Float64Array(0) }
    })
  }

  get empty(): boolean {
    return this.#rules.length === 0
  }

  /** True for the rows that expressions make. */
  owns(row: number): boolean {
    return this.#owned.has(row)
  }

  valueOf(row: number): number {
    return this.#values.get(row) ?? Number.NaN
  }

  coverageOf(row: number): number {
    return this.#coverage.get(row) ?? 0
  }

  /** Takes a series in as input wherever it matches. Once per series. */
  register(row: number): void {
    if (this.#owned.has(row) || this.#homes.has(row)) return
    const meta = this.#table.meta(row)
    const homes: Group[] = []
    for (const rule of this.#rules) {
      const { inputs } = rule.compiled
      for (let i = 0; i < inputs.length; i++) {
        const alternative = matchOf(inputs[i], meta)
        if (alternative < 0) continue
        const group = groupOf(rule, meta)
        insert(group.members[i][alternative], { key: meta.key, row })
        homes.push(group)
      }
    }
    this.#homes.set(row, homes)
  }

  /** Evaluates all expressions; derived series that have a value for the first time are interned. */
  evaluate(observed: Observed, onNew: (row: number) => void): void {
    this.#values.clear()
    this.#coverage.clear()
    for (const rule of this.#rules) {
      const { size } = rule.groups
      if (rule.out.length < size) {
        rule.out = new Float64Array(size * 2)
        rule.columns = rule.columns.map(() => new Float64Array(size * 2))
      }
      const shares = fill(rule, observed)
      rule.compiled.evaluate(rule.columns, size, rule.out)
      const fresh: Group[] = []
      let g = 0
      for (const group of rule.groups.values()) {
        const x = rule.out[g++]
        if (group.row < 0 && !Number.isNaN(x)) fresh.push(group)
      }
      // By key, so that the rows do not depend on which series was met first.
      for (const group of fresh.sort((a, b) => (a.meta.key < b.meta.key ? -1 : 1))) this.#intern(group, onNew)
      g = 0
      for (const { row } of rule.groups.values()) {
        const share = shares[g]
        const x = rule.out[g++]
        if (row < 0 || Number.isNaN(x)) continue
        this.#values.set(row, x)
        this.#coverage.set(row, share)
      }
    }
  }

  #intern(group: Group, onNew: (row: number) => void): void {
    // A source that sends this very series knows better.
    if (this.#table.row(group.meta.key) >= 0) return
    group.row = this.#table.intern(group.meta)
    if (group.row < 0) return
    this.#owned.set(group.row, group)
    onNew(group.row)
  }

  forget(row: number): void {
    const owned = this.#owned.get(row)
    if (owned) owned.row = -1
    this.#owned.delete(row)
    this.#values.delete(row)
    const homes = this.#homes.get(row) ?? []
    for (const group of homes) {
      for (const alternatives of group.members)
        for (const list of alternatives) {
          const at = list.findIndex(member => member.row === row)
          if (at >= 0) list.splice(at, 1)
        }
    }
    this.#homes.delete(row)
    for (const group of owned ? [owned, ...homes] : homes)
      if (group.row < 0 && group.members.every(a => a.every(list => list.length === 0)))
        group.rule.groups.delete(group.meta.key)
  }

  bytes(): number {
    let sum = 0
    for (const rule of this.#rules) sum += rule.out.byteLength * (1 + rule.columns.length)
    // Two map entries and a member object a series, as measured on Node 20.
    return sum + this.#homes.size * 160
  }

  /** The row of a derived series found again after a restore. */
  adopt(row: number): void {
    const { key } = this.#table.meta(row)
    for (const rule of this.#rules) {
      const group = rule.groups.get(key)
      if (!group) continue
      group.row = row
      this.#owned.set(row, group)
    }
  }
}

/** Which of the input's metric names the series has; −1 when it does not match. */
function matchOf(input: ExpressionInput, meta: SeriesMeta): number {
  for (const name of Object.keys(input.labels)) if (meta.labels[name] !== input.labels[name]) return -1
  return input.metrics.indexOf(meta.metric)
}

function groupOf(rule: Rule, meta: SeriesMeta): Group {
  const labels: Record<string, string> = {}
  for (const name of rule.expression.by ?? ['service']) {
    // A source that calls its services otherwise still has them as entities.
    const value = meta.labels[name] ?? (name === 'service' ? meta.entity : undefined)
    if (value !== undefined && value !== '') labels[name] = value
  }
  const { metric } = rule.expression
  const key = seriesKey(metric, labels, meta.tenant)
  let group = rule.groups.get(key)
  if (!group) {
    const members = rule.compiled.inputs.map(input => input.metrics.map((): Member[] => []))
    group = { rule, meta: derivedMeta(rule.expression, key, labels, meta), row: -1, members }
    rule.groups.set(key, group)
  }
  return group
}

function derivedMeta(expression: SliExpression, key: string, labels: Labels, from: SeriesMeta): SeriesMeta {
  const { metric } = expression
  const unit = expression.unit || unitOf(metric)
  const named = expression.kind
  const kind =
    named !== undefined && Object.hasOwn(KIND_TRAITS, named)
      ? (named as MetricKind)
      : metricKind(metric, unit)
  const values = Object.values(labels)
  const entity = values.includes(from.entity) ? from.entity : values.length > 0 ? values.join('/') : metric
  const bad = expression.bad ?? KIND_TRAITS[kind].bad
  return { key, tenant: from.tenant, metric, labels, entity, unit, kind, bad }
}

/** Fills the rule's columns, one row a group; returns the share of its inputs that each group has seen. */
function fill(rule: Rule, observed: Observed): number[] {
  const shares: number[] = []
  for (const group of rule.groups.values()) {
    const g = shares.length
    const tally = { seen: 0, all: 0 }
    for (let i = 0; i < group.members.length; i++) {
      const members = group.members[i].find(list => list.length > 0) ?? []
      rule.columns[i][g] = combine(members, rule.compiled.inputs[i].aggregation, observed, tally)
    }
    shares.push(tally.all === 0 ? 0 : tally.seen / tally.all)
  }
  return shares
}

function insert(list: Member[], member: Member): void {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (list[middle].key < member.key) low = middle + 1
    else high = middle
  }
  list.splice(low, 0, member)
}

function combine(
  members: readonly Member[],
  aggregation: Aggregation,
  observed: Observed,
  tally: { seen: number; all: number },
): number {
  let sum = 0
  let count = 0
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const { row } of members) {
    const x = observed(row)
    if (Number.isNaN(x)) continue
    sum += x
    count++
    if (x < low) low = x
    if (x > high) high = x
  }
  tally.seen += count
  tally.all += members.length
  if (count === 0) return Number.NaN
  switch (aggregation) {
    case 'sum':
      return sum
    case 'avg':
      return sum / count
    case 'min':
      return low
    case 'max':
      return high
  }
}
