import type { Disruption } from '../core/disruption.ts'
import type { Fault, FaultKind } from './faults.ts'
import type { SeenEvent } from './foreshock.ts'

/** A disruption opened this long after healing still belongs to the fault: queues drain, caches refill. */
export const GRACE_MS = 15_000

export interface FaultOutcome {
  readonly seed: number
  readonly kind: FaultKind
  /** The entity at fault; null for a control. */
  readonly root: string | null
  readonly control: boolean
  /** A disruption was opened while the fault lasted. For a control that is the error. */
  readonly detected: boolean
  /** From injection to the arrival of the opened event. */
  readonly secondsToDetect: number | null
  /** Place of the true cause among the suspects, one place an entity; null when it is not among them. */
  readonly rankAtOpening: number | null
  readonly rankAtEnd: number | null
  readonly titleAtOpening: string | null
  readonly titleAtEnd: string | null
  readonly suspectsAtEnd: readonly string[]
  /** From healing to the resolved event; null when it did not come in the time allowed. */
  readonly secondsToResolve: number | null
  /** Titles of further disruptions opened for the same fault. */
  readonly further: readonly string[]
}

export interface FalseDisruption {
  readonly seed: number
  readonly at: string
  readonly title: string
  /** The control during which it was opened; null for a quiet time. */
  readonly during: FaultKind | null
}

export interface LabTotals {
  readonly faults: number
  readonly detected: number
  readonly recall: number | null
  readonly medianSeconds: number | null
  readonly causeFirst: number
  /** Of all faults: one that was not detected counts as a miss. */
  readonly causeFirstShare: number | null
  readonly controls: number
  readonly controlsCalled: number
  readonly falseDisruptions: number
}

/** What arrived on the event stream, for whoever wonders about an outcome. */
export interface LabEvent {
  readonly seed: number
  readonly at: string
  readonly type: SeenEvent['type']
  readonly id: string
  readonly severity: string
  readonly title: string
  readonly suspects: readonly string[]
}

export function labEvents(seed: number, events: readonly SeenEvent[]): LabEvent[] {
  return events.map(({ type, atMs, disruption: { id, severity, title, suspects } }) => ({
    seed,
    at: new Date(atMs).toISOString(),
    type,
    id,
    severity,
    title,
    suspects: suspects.slice(0, 3).map(({ entity, metric }) => `${entity} ${metric}`),
  }))
}

export interface LabReport {
  readonly startedAt: string
  readonly finishedAt: string
  readonly url: string
  readonly seeds: readonly number[]
  readonly outcomes: readonly FaultOutcome[]
  readonly falseDisruptions: readonly FalseDisruption[]
  readonly events: readonly LabEvent[]
  readonly totals: LabTotals
}

/** One fault as it was run: when it took effect and when it was healed, Unix ms. */
export interface FaultRun {
  readonly fault: Fault
  readonly seed: number
  readonly injectedMs: number
  readonly healedMs: number
}

/** Place of an entity among the suspects, counting each entity once, from 1; null when absent. */
export function rankOf(entity: string, disruption: Disruption): number | null {
  const ordered = [...disruption.suspects].sort((a, b) => a.rank - b.rank)
  const entities = [...new Set(ordered.map(suspect => suspect.entity))]
  const place = entities.indexOf(entity)
  return place < 0 ? null : place + 1
}

/** Events that put a disruption on the board: opened, or taken up again after it had been resolved. */
function openings(events: readonly SeenEvent[]): SeenEvent[] {
  const resolved = new Set<string>()
  return events.filter(({ type, disruption: { id } }) => {
    if (type === 'resolved' || type === 'retracted') resolved.add(id)
    else if (type === 'opened' || resolved.delete(id)) return true
    return false
  })
}

/** The events of a disruption from one of it on, and of those that it turned out to be part of. */
function follow(first: SeenEvent, events: readonly SeenEvent[]): SeenEvent[] {
  const ids = new Set([first.disruption.id])
  return events.filter(({ atMs, type, disruption: { id, related } }) => {
    if (atMs < first.atMs || !ids.has(id)) return false
    const into = related?.findLast(one => one.relation === 'merged-into')
    if (type === 'retracted' && into) ids.add(into.id)
    return type !== 'retracted' || into === undefined
  })
}

/** What became of one fault, from the events that arrived. `untilMs`: the next injection or the end. */
export function judge(run: FaultRun, events: readonly SeenEvent[], untilMs: number): FaultOutcome {
  const { fault, injectedMs, healedMs } = run
  const opened = openings(events).filter(
    ({ atMs }) => atMs >= injectedMs && atMs < Math.min(healedMs + GRACE_MS, untilMs),
  )
  const first = opened.find(({ atMs }) => atMs <= healedMs)
  const own = first ? follow(first, events) : []
  const last = own.filter(({ atMs }) => atMs <= healedMs).at(-1)
  const resolved = own.find(({ type, atMs }) => type === 'resolved' && atMs <= untilMs)
  const rank = (event: SeenEvent | undefined) =>
    event && fault.root !== undefined ? rankOf(fault.root, event.disruption) : null
  return {
    seed: run.seed,
    kind: fault.kind,
    root: fault.root ?? null,
    control: fault.root === undefined,
    detected: first !== undefined,
    secondsToDetect: first ? (first.atMs - injectedMs) / 1000 : null,
    rankAtOpening: rank(first),
    rankAtEnd: rank(last),
    titleAtOpening: first?.disruption.title ?? null,
    titleAtEnd: last?.disruption.title ?? null,
    suspectsAtEnd: (last?.disruption.suspects ?? []).map(({ entity, metric }) => `${entity} ${metric}`),
    secondsToResolve: resolved ? (resolved.atMs - healedMs) / 1000 : null,
    further: opened.filter(event => event !== first).map(({ disruption }) => disruption.title),
  }
}

/** Disruptions opened when nothing was wrong: in quiet times, and on the controls. */
export function falseDisruptions(runs: readonly FaultRun[], events: readonly SeenEvent[]): FalseDisruption[] {
  const found: FalseDisruption[] = []
  for (const { atMs, disruption } of openings(events)) {
    const run = runs.findLast(({ injectedMs }) => injectedMs <= atMs)
    const within = run !== undefined && atMs <= run.healedMs + GRACE_MS
    if (within && run.fault.root !== undefined) continue
    found.push({
      seed: run?.seed ?? runs[0]?.seed ?? 0,
      at: new Date(atMs).toISOString(),
      title: disruption.title,
      during: within ? run.fault.kind : null,
    })
  }
  return found
}

export function totals(outcomes: readonly FaultOutcome[], falses: readonly FalseDisruption[]): LabTotals {
  const faults = outcomes.filter(({ control }) => !control)
  const controls = outcomes.filter(({ control }) => control)
  const detected = faults.filter(outcome => outcome.detected)
  const causeFirst = faults.filter(({ rankAtEnd }) => rankAtEnd === 1).length
  return {
    faults: faults.length,
    detected: detected.length,
    recall: faults.length === 0 ? null : detected.length / faults.length,
    medianSeconds: median(detected.flatMap(({ secondsToDetect }) => secondsToDetect ?? [])),
    causeFirst,
    causeFirstShare: faults.length === 0 ? null : causeFirst / faults.length,
    controls: controls.length,
    controlsCalled: controls.filter(outcome => outcome.detected).length,
    falseDisruptions: falses.length,
  }
}

function median(values: readonly number[]): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The reports of several runs as one. */
export function merged(reports: readonly LabReport[]): LabReport {
  const outcomes = reports.flatMap(report => report.outcomes)
  const falses = reports.flatMap(report => report.falseDisruptions)
  return {
    startedAt: reports[0]?.startedAt ?? '',
    finishedAt: reports.at(-1)?.finishedAt ?? '',
    url: reports[0]?.url ?? '',
    seeds: reports.flatMap(report => report.seeds),
    outcomes,
    falseDisruptions: falses,
    events: reports.flatMap(report => report.events),
    totals: totals(outcomes, falses),
  }
}
