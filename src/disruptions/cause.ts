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

/** What is gathered of one entity; by family where it is an array. */
interface Entry {
  /** Families whose evidence comes from several copies of the entity, by measure. */
  readonly copies: Map<string, Copies>
  readonly tails: Float64Array
  readonly sigmas: Float64Array
  /** Place of the strongest finding, −1 without any. */
  readonly best: Int32Array
  readonly strengths: Float64Array
  inferred: boolean
}

/** Orders entities by how likely they started it: strongest first, ties by name. */
export function rankCauses(all: Findings, context: CauseContext): Cause[] {
  const rules = context.rules ?? ALL_RULES
  const findings = rules.topology ? blameCallers(all) : all
  const entries = collect(findings, context.alert)
  const base = new Map<string, number>()
  for (const [entity, entry] of entries) base.set(entity, strengthOfEntry(entry, rules))
  const causes: Cause[] = []
  for (const [entity, entry] of entries) causes.push(judge(entity, entry, findings, base, context))
  return causes.sort((a, b) => b.score - a.score || compare(a.entity, b.entity))
}

function collect(findings: Findings, alert: Alert | undefined): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  const { subjects, numbers } = findings
  // Series of an entity come one after the other, most of them.
  let name: string | undefined
  let entry = NO_ENTRY
  for (let i = 0, at = 0; i < findings.length; i++, at += FINDING_WIDTH) {
    const { entity, family: f, onEdge, copyOf, key } = subjects[i]
    if (entity !== name) {
      entry = entries.get(entity) ?? newEntry()
      entries.set(entity, entry)
      name = entity
    }
    if (!onEdge) entry.inferred = false
    const tail = strengthOf(numbers[at + SCORE.tail], f, alert)
    const sigma = strengthOf(numbers[at + SCORE.sigma], f, alert)
    if (copyOf !== '') keepCopy(entry, copyOf, f, tail, sigma)
    else {
      if (tail > entry.tails[f]) entry.tails[f] = tail
      if (sigma > entry.sigmas[f]) entry.sigmas[f] = sigma
    }
    const mean = (tail + sigma) / 2
    const best = entry.best[f]
    const better = mean > entry.strengths[f]
    if (best < 0 || better || (mean === entry.strengths[f] && compare(key, subjects[best].key) < 0)) {
      entry.best[f] = i
      entry.strengths[f] = mean
    }
  }
  for (const entry of entries.values()) {
    for (const { family, tails, sigmas } of entry.copies.values()) {
      entry.tails[family] = Math.max(entry.tails[family], meanOfUpperHalf(tails))
      entry.sigmas[family] = Math.max(entry.sigmas[family], meanOfUpperHalf(sigmas))
    }
  }
  return entries
}

function newEntry(): Entry {
  return {
    copies: new Map(),
    tails: new Float64Array(FAMILY_SLOTS),
    sigmas: new Float64Array(FAMILY_SLOTS),
    strengths: new Float64Array(FAMILY_SLOTS),
    best: new Int32Array(FAMILY_SLOTS).fill(-1),
    inferred: true,
  }
}

/** Of nobody yet. */
const NO_ENTRY = newEntry()

/** One measure of an entity, taken by several of its copies. */
interface Copies {
  readonly family: number
  readonly tails: number[]
  readonly sigmas: number[]
}

function keepCopy(entry: Entry, measure: string, family: number, tail: number, sigma: number): void {
  const key = `${family} ${measure}`
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

function strengthOfEntry(entry: Entry, { tail, sigma, secondFamily }: CauseRules): number {
  const share = secondFamily ? SECOND_FAMILY : 0
  const [byTail, bySigma] = [twoLargest(entry.tails, share), twoLargest(entry.sigmas, share)]
  return tail && sigma ? (byTail + bySigma) / 2 : tail ? byTail : bySigma
}

function twoLargest(values: Float64Array, share: number): number {
  let first = 0
  let second = 0
  for (let i = 0; i < values.length; i++) {
    if (values[i] > first) {
      second = first
      first = values[i]
    } else if (values[i] > second) second = values[i]
  }
  return first + share * second
}

function judge(
  entity: string,
  entry: Entry,
  all: Findings,
  base: ReadonlyMap<string, number>,
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
  const worst = strengthOfEntry(entry, { ...rules, secondFamily: false })
  if (callee >= ANOMALOUS && callee >= worst)
    score = rules.secondFamily ? Math.min(own, worst + SECOND_FAMILY * workOf(entry)) : worst
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
  for (let f = 0; f < FAMILY_SLOTS; f++) if (entry.best[f] >= 0) order.push(f)
  order.sort((a, b) => entry.strengths[b] - entry.strengths[a] || first(a) - first(b))
  const findings = order.map(f => all.at(entry.best[f]))
  return {
    entity,
    score,
    base: own,
    findings,
    strengths: order.map(f => entry.strengths[f]),
    explainedBy: callee >= ANOMALOUS ? explainedBy : '',
    change: changeBonus > 0 ? guilty?.change : undefined,
    changeBonus,
    onsetMs: earliest(findings, order, entry.strengths),
  }
}

/** How strange the work is that an entity does itself. */
function workOf({ strengths }: Entry): number {
  return Math.max(strengths[F.cpu], strengths[F.io])
}

/** Of equally strong families silence is told first: it says more than what follows from it. */
function first(family: number): number {
  return family === F.absence ? -1 : family
}

/** The earliest onset among families at least half as strong as the strongest. */
function earliest(findings: readonly Finding[], order: readonly number[], strengths: Float64Array): number {
  let onset = Number.NaN
  for (const [i, finding] of findings.entries()) {
    if (strengths[order[i]] < strengths[order[0]] / 2) continue
    if (finding.onsetMs < onset || Number.isNaN(onset)) onset = finding.onsetMs
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
