import type { Disruption } from '../core/disruption.ts'
import { adjustedRand } from '../evaluate/ranking.ts'
import type { LocaliseCase, LocaliseGroup } from './rca-data.ts'
import { RecordedWorld } from './recorded-world.ts'
import type { Recording } from './recording.ts'

const MINUTE = 60_000
const DAY = 86_400_000
/** A disruption matches a fault when it overlaps this stretch around the injection. */
const BEFORE_MS = MINUTE
const AFTER_MS = 5 * MINUTE
/** What is known of a fault's cause is read this long after its injection: the last publication until then. */
const READ_MS = 10 * MINUTE

/** One fault and what the stream said about it. */
export interface StreamFault {
  readonly id: string
  readonly truth: readonly string[]
  /** Disruptions that match. */
  readonly matches: number
  /** Suspects, strongest first; empty when nothing matches. */
  readonly suspects: readonly string[]
  /** From injection to the opening of the first match, ms; Infinity when nothing matches. */
  readonly delayMs: number
}

export interface StreamResult {
  readonly set: string
  readonly days: number
  readonly faults: readonly StreamFault[]
  readonly disruptions: number
  /** Disruptions that match no fault. */
  readonly unmatched: number
  /** Disruptions that match several faults. */
  readonly merged: number
  /** Adjusted Rand index of anomaly → disruption; NaN where it was not asked for. */
  readonly rand: number
}

/** All publications of one disruption. */
interface Told {
  readonly id: string
  readonly bodies: { readonly timeMs: number; readonly body: Disruption }[]
}

function toldOf(world: RecordedWorld): Told[] {
  const byId = new Map<string, Told>()
  for (const { timeMs, disruption } of world.events) {
    const told = byId.get(disruption.id) ?? { id: disruption.id, bodies: [] }
    told.bodies.push({ timeMs, body: disruption })
    byId.set(disruption.id, told)
  }
  return [...byId.values()].filter(({ bodies }) => bodies[bodies.length - 1].body.status !== 'retracted')
}

/**
 * Stretches in which it was open: from opening, or coming back, to the end that was published. What came back within its
 * refractory time is one disruption with a pause, and what happens in the pause is not matched by it.
 */
function episodesOf({ bodies }: Told): { readonly fromMs: number; readonly toMs: number }[] {
  const out: { fromMs: number; toMs: number }[] = []
  let fromMs = Number.NaN
  for (const { timeMs, body } of bodies) {
    if (Number.isNaN(fromMs)) fromMs = out.length === 0 ? Date.parse(body.detectedAt) : timeMs
    if (body.resolvedAt === null) continue
    out.push({ fromMs, toMs: Math.max(fromMs, Date.parse(body.resolvedAt)) })
    fromMs = Number.NaN
  }
  // One that is still open never ended.
  if (!Number.isNaN(fromMs)) out.push({ fromMs, toMs: Number.POSITIVE_INFINITY })
  return out
}

/** The first stretch that overlaps what a fault may be noticed in. */
function matching(told: Told, { atMs }: LocaliseCase): { readonly fromMs: number } | undefined {
  return episodesOf(told).find(({ fromMs, toMs }) => fromMs <= atMs + AFTER_MS && toMs >= atMs - BEFORE_MS)
}

/** Runs recorded days through the whole pipeline, one world per group, and holds events against faults. */
export async function stream(group: LocaliseGroup): Promise<StreamResult> {
  const recording = await group.load()
  const world = await played(recording, group.stepMs)
  const { firstMs, lastMs } = recording.span()
  return judge(group.set, world, group.cases, (lastMs - firstMs) / DAY, Number.NaN)
}

async function played(recording: Recording, stepMs: number): Promise<RecordedWorld> {
  const { firstMs, lastMs } = recording.span()
  const windows = Math.ceil((lastMs - firstMs) / stepMs) + 2
  const world = new RecordedWorld({ stepMs, windows, environment: {} })
  await recording.play(world)
  return world
}

function judge(
  set: string,
  world: RecordedWorld,
  cases: readonly LocaliseCase[],
  days: number,
  rand: number,
): StreamResult {
  const told = toldOf(world)
  const faults = cases.map(one => {
    const own = told.filter(story => matching(story, one) !== undefined)
    const spoken = own.map(story => ({ story, body: bodyAt(story, one.atMs + READ_MS) }))
    // Of several that match, the one that began nearest the injection is about it.
    spoken.sort(
      (a, b) =>
        Math.abs(Date.parse(a.body.startedAt) - one.atMs) - Math.abs(Date.parse(b.body.startedAt) - one.atMs),
    )
    return {
      id: one.id,
      truth: one.truth,
      matches: own.length,
      suspects: spoken[0]?.body.suspects.map(suspect => suspect.entity) ?? [],
      delayMs: Math.min(
        ...own.map(story => Math.max(0, (matching(story, one)?.fromMs ?? Number.NaN) - one.atMs)),
        Number.POSITIVE_INFINITY,
      ),
    }
  })
  const hits = told.map(story => cases.filter(one => matching(story, one) !== undefined).length)
  return {
    set,
    days,
    faults,
    disruptions: told.length,
    unmatched: hits.filter(count => count === 0).length,
    merged: hits.filter(count => count > 1).length,
    rand,
  }
}

/** The last publication up to a moment, else the first. */
function bodyAt({ bodies }: Told, atMs: number): Disruption {
  return (bodies.findLast(({ timeMs }) => timeMs <= atMs) ?? bodies[0]).body
}

/**
 * Two systems' days laid over each other in one world. The adjusted Rand index compares, for every anomaly that
 * is evidence of a disruption, the disruption with the fault (of its own system) whose stretch it overlaps;
 * anomalies outside all faults are left out.
 */
export async function overlay(groups: readonly LocaliseGroup[]): Promise<StreamResult | undefined> {
  if (groups.length < 2) return undefined
  const recordings = await Promise.all(groups.map(group => group.load()))
  const startMs = recordings[0].span().firstMs
  const whole = recordings[0]
  const systems = new Map<string, number>()
  const cases: LocaliseCase[][] = []
  for (const [i, recording] of recordings.entries()) {
    for (const [, meta] of recording.table.metas())
      if (!meta.entity.startsWith('__')) systems.set(meta.entity, i)
    const shiftMs = startMs - recording.span().firstMs
    cases.push(groups[i].cases.map(one => ({ ...one, atMs: one.atMs + shiftMs })))
    if (i > 0) whole.join(recording, shiftMs)
  }
  const world = await played(whole, groups[0].stepMs)
  const { firstMs, lastMs } = whole.span()
  return judge('overlay', world, cases.flat(), (lastMs - firstMs) / DAY, randOf(world, systems, cases))
}

function randOf(
  world: RecordedWorld,
  systems: ReadonlyMap<string, number>,
  cases: readonly (readonly LocaliseCase[])[],
): number {
  const ours: string[] = []
  const truth: string[] = []
  const seen = new Set<string>()
  for (const { disruption } of world.events) {
    for (const { id, entity, window } of disruption.evidence) {
      const system = systems.get(entity)
      if (system === undefined || seen.has(id)) continue
      const [fromMs, toMs] = [Date.parse(window.start), Date.parse(window.end)]
      const fault = cases[system].find(one => fromMs <= one.atMs + AFTER_MS && toMs >= one.atMs - BEFORE_MS)
      if (!fault) continue
      seen.add(id)
      ours.push(disruption.id)
      truth.push(fault.id)
    }
  }
  return adjustedRand(ours, truth)
}
