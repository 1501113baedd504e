import type { Anomaly } from '../core/anomaly.ts'
import type { Change } from '../core/change.ts'
import { ABSENT_EVIDENCE } from './evidence.ts'
import { FAMILIES, FAMILY_SLOTS } from './families.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import type { DisruptionOptions } from './options.ts'
import { expectedByTenant } from './planned.ts'
import { absenceOf, entityStrength, STRENGTH, STRENGTH_WIDTH } from './strength.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** What one window says of the whole fleet. */
export interface WindowLevels {
  /** Smoothed evidence per entity: mean of the last three windows. */
  readonly level: Float64Array
  /** Evidence in this window that users feel something, 0..8. */
  readonly felt: Float64Array
  /** Entities that are silent, whole or in part, by index. */
  readonly silent: ReadonlyMap<number, Silence>
  /** Tenants in which nothing at all was heard, with whether the detectors agree that it is missing. */
  readonly mute: ReadonlyMap<string, boolean>
  /** Entities whose interruption was announced. */
  readonly planned: ReadonlySet<number>
  suppressed: number
  driven: number
}

interface Silence {
  readonly whole: boolean
  readonly instances: readonly string[]
}

/** Evidence at which a run of strange windows begins, and windows it may pause. */
const STRANGE_AT = 2
const PAUSE_WINDOWS = 1
/** Rate of the slow mean of traffic, per window. */
const TRAFFIC_RATE = 0.05
/** Share of series still heard below which a tenant is mute. */
const MUTE_SHARE = 0.1
/** Windows around its leaving in which a new instance counts as a replacement. */
const REPLACED_WINDOWS = 60
const FIRST_WINDOWS = 5

export interface CriticalAnomaly {
  readonly entity: number
  readonly family: number
}

/** Turns the sums of a window into levels, and moves every entity's memory on by one window. */
export function windowLevels(
  fleet: Fleet,
  graphs: TenantGraphs,
  changes: readonly Change[],
  critical: readonly CriticalAnomaly[],
  nowMs: number,
  options: DisruptionOptions,
): WindowLevels {
  const { columns, entities } = fleet
  const graceMs = options.plannedGraceWindows * options.stepMs
  const expected = expectedByTenant(changes, nowMs, graphs, options.plannedMs, graceMs)
  const tenants = tenantSums(fleet)
  const mute = muteTenants(tenants)
  const silent = silences(fleet, nowMs, options.stepMs)
  const bits = new Map<number, number>()
  for (const { entity, family } of critical) bits.set(entity, (bits.get(entity) ?? 0) | (1 << family))
  const planned = new Set<number>()
  const out = {
    level: new Float64Array(entities.length),
    felt: new Float64Array(entities.length),
    silent,
    mute,
    planned,
    suppressed: 0,
    driven: 0,
  }
  const strength = new Float64Array(STRENGTH_WIDTH)
  for (let e = 0; e < entities.length; e++) {
    const memory = entities[e]
    const sums = tenants.get(memory.tenant)
    const muted = mute.has(memory.tenant)
    strength[STRENGTH.absence] = 0
    if (silent.has(e)) strength[STRENGTH.absence] = muted ? 0 : ABSENT_EVIDENCE
    else if (columns.absent[e] > 0 && !muted)
      strength[STRENGTH.absence] = absenceOf(columns.recent[e], columns.live[e], columns.absent[e])
    const usual = columns.trafficExpected[e]
    strength[STRENGTH.traffic] =
      usual > 0
        ? columns.trafficObserved[e] / usual
        : sums && sums.expected > 0
          ? sums.observed / sums.expected
          : Number.NaN
    const plan = expected.get(memory.tenant)?.get(memory.name)
    if (plan === 'interrupted') planned.add(e)
    entityStrength(columns, e, bits.size === 0 ? 0 : (bits.get(e) ?? 0), plan, strength)
    out.felt[e] = strength[STRENGTH.felt]
    if (strength[STRENGTH.suppressed] > STRANGE_AT) out.suppressed++
    if (strength[STRENGTH.driven] > STRANGE_AT) out.driven++
    remember(memory, strength, nowMs, options.stepMs)
    const seen = columns.trafficObserved[e]
    if (seen > 0) {
      if (Number.isNaN(memory.traffic)) memory.traffic = seen
      else memory.traffic += TRAFFIC_RATE * (seen - memory.traffic)
    }
    out.level[e] = (memory.recent[0] + memory.recent[1] + memory.recent[2]) / 3
  }
  return out
}

function remember(
  memory: Fleet['entities'][number],
  strength: Float64Array,
  nowMs: number,
  stepMs: number,
): void {
  const evidence = strength[STRENGTH.evidence]
  memory.recent[2] = memory.recent[1]
  memory.recent[1] = memory.recent[0]
  memory.recent[0] = evidence
  if (evidence >= STRANGE_AT) {
    memory.onsetMs ??= nowMs - stepMs
    memory.lastStrangeMs = nowMs
  } else if (nowMs - memory.lastStrangeMs > PAUSE_WINDOWS * stepMs) memory.onsetMs = null
}

interface TenantSums {
  observed: number
  expected: number
  recent: number
  live: number
  absent: number
  entities: number
}

function tenantSums({ columns, entities }: Fleet): Map<string, TenantSums> {
  const out = new Map<string, TenantSums>()
  for (let e = 0; e < entities.length; e++) {
    let sums = out.get(entities[e].tenant)
    if (!sums) {
      sums = { observed: 0, expected: 0, recent: 0, live: 0, absent: 0, entities: 0 }
      out.set(entities[e].tenant, sums)
    }
    sums.observed += columns.trafficObserved[e]
    sums.expected += columns.trafficExpected[e]
    sums.recent += columns.recent[e]
    sums.live += columns.live[e]
    sums.absent += columns.absent[e]
    if (columns.recent[e] > 0) sums.entities++
  }
  return out
}

/** With one entity only, silence of everything cannot be told from silence of that one. */
function muteTenants(tenants: ReadonlyMap<string, TenantSums>): Map<string, boolean> {
  const out = new Map<string, boolean>()
  for (const [tenant, { recent, live, absent, entities }] of tenants) {
    if (entities >= 2 && absent > 0 && live <= MUTE_SHARE * recent) out.set(tenant, absent * 2 >= recent)
  }
  return out
}

function silences(fleet: Fleet, nowMs: number, stepMs: number): Map<number, Silence> {
  const { columns, instanceColumns, instances } = fleet
  const { recent, live, absent } = instanceColumns
  const gone = new Map<number, string[]>()
  for (let i = 0; i < instances.length; i++) {
    if (live[i] > 0 || recent[i] === 0 || absent[i] * 2 < recent[i]) continue
    const { entity, name } = instances[i]
    const list = gone.get(entity)
    if (list) list.push(name)
    else gone.set(entity, [name])
  }
  const newcomers = gone.size > 0 ? newcomersOf(gone, fleet, nowMs, stepMs) : undefined
  const out = new Map<number, Silence>()
  for (let e = 0; e < fleet.entities.length; e++) {
    if (columns.recent[e] > 0 && columns.live[e] === 0 && columns.absent[e] * 2 >= columns.recent[e]) {
      out.set(e, { whole: true, instances: [] })
      continue
    }
    const names = gone.get(e)
    if (names && names.length > (newcomers?.get(e) ?? 0)) {
      out.set(e, { whole: false, instances: names.sort(compare) })
    }
  }
  return out
}

/** How many instances have come to entities that have lost some. Those who were there when it was first seen replace nobody. */
function newcomersOf(
  lost: ReadonlyMap<number, unknown>,
  { entities, instances, instanceColumns: { live } }: Fleet,
  nowMs: number,
  stepMs: number,
): Map<number, number> {
  const out = new Map<number, number>()
  for (let i = 0; i < instances.length; i++) {
    const { entity, firstSeenMs } = instances[i]
    if (live[i] === 0 || firstSeenMs <= nowMs - REPLACED_WINDOWS * stepMs || !lost.has(entity)) continue
    if (firstSeenMs <= entities[entity].firstSeenMs + FIRST_WINDOWS * stepMs) continue
    out.set(entity, (out.get(entity) ?? 0) + 1)
  }
  return out
}

/** How many families of an entity speak in this window: agreement of different kinds of evidence. */
export function familiesSpeaking(fleet: Fleet, entity: number): number {
  let count = 0
  const at = entity * FAMILY_SLOTS
  for (let f = 0; f < FAMILIES.length; f++) if (fleet.columns.strength[at + f] >= STRANGE_AT) count++
  return count
}

/** Anomalies that are critical right now, as bits of their entity's families. */
export function criticalOf(
  open: Iterable<{ readonly anomaly: Anomaly; readonly entity: number; readonly family: number }>,
): CriticalAnomaly[] {
  const out: CriticalAnomaly[] = []
  for (const { anomaly, entity, family } of open) {
    if (anomaly.severity === 'critical' && anomaly.direction === 'spike' && entity >= 0) {
      out.push({ entity, family })
    }
  }
  return out
}
