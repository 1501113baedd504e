import type { Change } from '../core/change.ts'
import { blameCallers } from './blame.ts'
import { SCORE } from './change-score.ts'
import { CAUSE_WEIGHT, F, FAMILY_SLOTS } from './families.ts'
import { FINDING_WIDTH, type Finding, type Findings } from './findings.ts'
import { type CallGraph, compare } from './graph.ts'

export interface Cause {
  readonly entity: string
  /** With all bonuses; orders suspects. */
  readonly score: number
  /** From its own evidence alone. */
  readonly base: number
  /** Strongest finding of each family that has any, strongest first. */
  readonly findings: readonly Finding[]
  /** 0..ln 31 per finding, the same order. */
  readonly strengths: readonly number[]
  /** The callee that is as strong, '' when nothing it calls explains it. */
  readonly explainedBy: string
  readonly change: Change | undefined
  readonly changeBonus: number
  readonly onsetMs: number
}

/** Settings measured to hold for five data sets at once; strengths are logarithmic, so 1.5 is a score of 3.5. */
const SCORE_CAP = 30
const SECOND_FAMILY = 0.3
const ANOMALOUS = 1.5
const UNEXPLAINED_BONUS = 0.3
const CHANGE_BONUS = 2
const CHANGE_CALLER_SHARE = 0.6
const ALERTING_BONUS = 0.5
const INFERRED_PENALTY = 2
const OTHER_TYPE = 0.2

/**
 * Names that tracing systems give to peers they only know from the caller's side (`*_remote`, `*_client`,
 * `S3_AWS::S3`): a symptom is seen there, a cause hardly ever is.
 */
const INFERRED_NAME = /_(remote|client)$|^([^_]+)_AWS::\2$/

/** Parts of the search that can be left out, to measure what each is worth. All are in use by default. */
export interface CauseRules {
  /** Shift over the series' own tail. */
  readonly tail: boolean
  /** Shift over the series' standard deviation. */
  readonly sigma: boolean
  /** Callees that explain, callers that a change harms, callers whose own fault all their calls show. */
  readonly topology: boolean
  readonly changes: boolean
  /** Peers known only from their callers count less. */
  readonly inferred: boolean
  /** Only the largest series of an entity counts, not the second family. */
  readonly secondFamily: boolean
}

export const ALL_RULES: CauseRules = {
  tail: true,
  sigma: true,
  topology: true,
  changes: true,
  inferred: true,
  secondFamily: true,
}

export interface Alert {
  readonly entity: string
  readonly family: number
}

export interface CauseContext {
  readonly graph: CallGraph
  readonly changes: readonly Change[]
  readonly onsetMs: number
  readonly changeDecayMs: number
  readonly alert?: Alert | undefined
  readonly rules?: CauseRules | undefined
}

/** `ok` and `err` are two names of one thing, and latency is latency wherever it is measured. */
function typeOf(family: number): number {
  if (family === F.err) return F.ok
  return family === F.edgeSource || family === F.edgeTarget || family === F.client ? F.server : family
}

function strengthOf(score: number, family: number, alert: Alert | undefined): number {
  const other = alert !== undefined && family !== F.absence && typeOf(family) !== typeOf(alert.family)
  return Math.log(1 + Math.min(score, SCORE_CAP)) * CAUSE_WEIGHT[family] * (other ? OTHER_TYPE : 1)
}

/** What is gathered of one entity. */
interface Entry {
  /** Where its families begin in the columns. */
  readonly at: number
  /** Families whose evidence comes from several copies of the entity, by measure; made when there are any. */
  copies: Map<string, Copies> | undefined
  inferred: boolean
}

/** What is gathered of all entities, in columns of FAMILY_SLOTS places each. */
class Entries {
  readonly byName = new Map<string, Entry>()
  tails = new Float64Array(FEWEST_ENTITIES * FAMILY_SLOTS)
  sigmas = new Float64Array(FEWEST_ENTITIES * FAMILY_SLOTS)
  strengths = new Float64Array(FEWEST_ENTITIES * FAMILY_SLOTS)
  /** Place of the strongest finding and one; 0 without any. */
  best = new Uint32Array(FEWEST_ENTITIES * FAMILY_SLOTS)

  of(entity: string): Entry {
    const known = this.byName.get(entity)
    if (known !== undefined) return known
    const entry: Entry = { at: this.byName.size * FAMILY_SLOTS, copies: undefined, inferred: true }
    this.byName.set(entity, entry)
    if (entry.at === this.best.length) {
      this.tails = twice(this.tails)
      this.sigmas = twice(this.sigmas)
      this.strengths = twice(this.strengths)
      const best = new Uint32Array(2 * this.best.length)
      best.set(this.best)
      this.best = best
    }
    return entry
  }

  strongest({ at }: Entry, family: number): number {
    return this.strengths[at + family]
  }
}

/** Entities that there is room for at first. */
const FEWEST_ENTITIES = 128

function twice(column: Float64Array): Float64Array<ArrayBuffer> {
  const out = new Float64Array(2 * column.length)
  out.set(column)
  return out
}

/** Orders entities by how likely they started it: strongest first, ties by name. */
export function rankCauses(all: Findings, context: CauseContext): Cause[] {
  const rules = context.rules ?? ALL_RULES
  const findings = rules.topology ? blameCallers(all) : all
  const entries = collect(findings, context.alert)
  const base = new Map<string, number>()
  for (const [entity, { at }] of entries.byName) base.set(entity, strengthOfEntry(entries, at, rules))
  const causes: Cause[] = []
  for (const [entity, entry] of entries.byName)
    causes.push(judge(entity, entry, { entries, findings, base }, context))
  return causes.sort((a, b) => b.score - a.score || compare(a.entity, b.entity))
}

function collect(findings: Findings, alert: Alert | undefined): Entries {
  const entries = new Entries()
  const { subjects, numbers } = findings
  // Series of an entity come one after the other, most of them.
  let name: string | undefined
  let entry: Entry | undefined
  for (let i = 0, from = 0; i < findings.length; i++, from += FINDING_WIDTH) {
    const { entity, family, onEdge, copyOf, key } = subjects[i]
    if (entry === undefined || entity !== name) {
      entry = entries.of(entity)
      name = entity
    }
    if (!onEdge) entry.inferred = false
    const { tails, sigmas, strengths, best } = entries
    const tail = strengthOf(numbers[from + SCORE.tail], family, alert)
    const sigma = strengthOf(numbers[from + SCORE.sigma], family, alert)
    const at = entry.at + family
    if (copyOf !== '') keepCopy(entry, copyOf, family, tail, sigma)
    else {
      if (tail > tails[at]) tails[at] = tail
      if (sigma > sigmas[at]) sigmas[at] = sigma
    }
    const mean = (tail + sigma) / 2
    const known = best[at]
    const better = mean > strengths[at]
    if (known === 0 || better || (mean === strengths[at] && compare(key, subjects[known - 1].key) < 0)) {
      best[at] = i + 1
      strengths[at] = mean
    }
  }
  for (const { at, copies } of entries.byName.values()) {
    for (const { family, tails, sigmas } of copies?.values() ?? []) {
      entries.tails[at + family] = Math.max(entries.tails[at + family], meanOfUpperHalf(tails))
      entries.sigmas[at + family] = Math.max(entries.sigmas[at + family], meanOfUpperHalf(sigmas))
    }
  }
  return entries
}

/** One measure of an entity, taken by several of its copies. */
interface Copies {
  readonly family: number
  readonly tails: number[]
  readonly sigmas: number[]
}

function keepCopy(entry: Entry, measure: string, family: number, tail: number, sigma: number): void {
  const key = `${family} ${measure}`
  entry.copies ??= new Map()
  const copies = entry.copies.get(key) ?? { family, tails: [], sigmas: [] }
  copies.tails.push(tail)
  copies.sigmas.push(sigma)
  entry.copies.set(key, copies)
}

/** The largest of many noisy copies is noise: half of them must agree to count in full. */
function meanOfUpperHalf(values: number[]): number {
  values.sort((a, b) => b - a)
  const half = Math.ceil(values.length / 2)
  let sum = 0
  for (let i = 0; i < half; i++) sum += values[i]
  return sum / half
}

function strengthOfEntry(
  { tails, sigmas }: Entries,
  at: number,
  { tail, sigma, secondFamily }: CauseRules,
): number {
  const share = secondFamily ? SECOND_FAMILY : 0
  const [byTail, bySigma] = [twoLargest(tails, at, share), twoLargest(sigmas, at, share)]
  return tail && sigma ? (byTail + bySigma) / 2 : tail ? byTail : bySigma
}

/** Of the families that begin at `at`. */
function twoLargest(values: Float64Array, at: number, share: number): number {
  let first = 0
  let second = 0
  for (let i = at; i < at + FAMILY_SLOTS; i++) {
    if (values[i] > first) {
      second = first
      first = values[i]
    } else if (values[i] > second) second = values[i]
  }
  return first + share * second
}

/** What is known of all entities when one is judged. */
interface Gathered {
  readonly entries: Entries
  readonly findings: Findings
  readonly base: ReadonlyMap<string, number>
}

function judge(
  entity: string,
  entry: Entry,
  { entries, findings: all, base }: Gathered,
  { graph, changes, onsetMs, changeDecayMs, alert, rules = ALL_RULES }: CauseContext,
): Cause {
  const own = base.get(entity) ?? 0
  let callee = 0
  let explainedBy = ''
  for (const name of rules.topology ? graph.callees(entity) : []) {
    const strength = base.get(name) ?? 0
    if (strength > callee || (strength === callee && strength > 0 && compare(name, explainedBy) < 0)) {
      callee = strength
      explainedBy = name
    }
  }
  let score = own
  // What is felt in several ways at once is no surer a cause for it while what it calls is as strange as its worst.
  // Waiting for somebody costs memory and connections, though, but no cycles: work of its own still counts.
  const worst = strengthOfEntry(entries, entry.at, { ...rules, secondFamily: false })
  if (callee >= ANOMALOUS && callee >= worst)
    score = rules.secondFamily ? Math.min(own, worst + SECOND_FAMILY * workOf(entries, entry)) : worst
  else if (rules.topology && own >= ANOMALOUS && callee < ANOMALOUS) score += UNEXPLAINED_BONUS
  const guilty = rules.changes ? guiltiest(entity, changes, onsetMs, changeDecayMs) : undefined
  let changeBonus = 0
  if (guilty) {
    let caller = 0
    for (const name of rules.topology ? graph.callers(entity) : [])
      caller = Math.max(caller, base.get(name) ?? 0)
    changeBonus = guilty.weight * (CHANGE_BONUS + CHANGE_CALLER_SHARE * caller)
    score += changeBonus
  }
  if (alert?.entity === entity && own > 0) score += ALERTING_BONUS * Math.max(0, 1 - callee / own)
  if (rules.inferred && (entry.inferred || INFERRED_NAME.test(entity))) score -= INFERRED_PENALTY
  const order: number[] = []
  for (let f = 0; f < FAMILY_SLOTS; f++) if (entries.best[entry.at + f] > 0) order.push(f)
  const strength = (family: number): number => entries.strongest(entry, family)
  order.sort((a, b) => strength(b) - strength(a) || first(a) - first(b))
  const findings = order.map(f => all.at(entries.best[entry.at + f] - 1))
  const strengths = order.map(strength)
  return {
    entity,
    score,
    base: own,
    findings,
    strengths,
    explainedBy: callee >= ANOMALOUS ? explainedBy : '',
    change: changeBonus > 0 ? guilty?.change : undefined,
    changeBonus,
    onsetMs: earliest(findings, strengths),
  }
}

/** How strange the work is that an entity does itself. */
function workOf(entries: Entries, entry: Entry): number {
  return Math.max(entries.strongest(entry, F.cpu), entries.strongest(entry, F.io))
}

/** Of equally strong families silence is told first: it says more than what follows from it. */
function first(family: number): number {
  return family === F.absence ? -1 : family
}

/** The earliest onset among families at least half as strong as the strongest, which comes first. */
function earliest(findings: readonly Finding[], strengths: readonly number[]): number {
  let onset = Number.NaN
  for (const [i, { onsetMs }] of findings.entries()) {
    if (strengths[i] < strengths[0] / 2) continue
    if (onsetMs < onset || Number.isNaN(onset)) onset = onsetMs
  }
  return onset
}

/**
 * The change before the onset whose guilt has decayed least: full for `decayMs`, since of two releases within
 * minutes the later is no guiltier, then decaying by it. Changes in the future explain nothing.
 */
function guiltiest(
  entity: string,
  changes: readonly Change[],
  onsetMs: number,
  decayMs: number,
): { change: Change; weight: number } | undefined {
  let found: { change: Change; weight: number } | undefined
  for (const change of changes) {
    if (change.entity !== entity || change.timeMs > onsetMs) continue
    const weight = Math.exp(-Math.max(0, (onsetMs - change.timeMs) / decayMs - 1))
    const better = !found || weight > found.weight
    if (better || (weight === found?.weight && compare(change.id, found.change.id) < 0)) {
      found = { change, weight }
    }
  }
  return found && found.weight > 0.01 ? found : undefined
}
