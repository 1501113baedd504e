import type { Change } from '../core/change.ts'
import { CHUNK_MASK, CHUNK_SHIFT, rowsIn, rowsOf } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { MaintenanceWindow } from '../core/maintenance.ts'
import type { SeriesTable } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import type { SavedCeiling } from './ceiling.ts'
import type { EntityMemory } from './entities.ts'
import { entityColumnsOf, type SavedEntities, savedEntities } from './entity-columns.ts'
import type { Fleet } from './fleet.ts'
import type { InstanceMemory } from './instances.ts'
import type { Maintenance } from './maintenance.ts'
import type { DisruptionCounts, OpenAnomaly } from './stage.ts'
import { dictionary, type Story } from './story.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** Saving and restoring the stage between two windows: stories and memories as JSON, last signs of life as a column. */
const ID = 'disruptions'
/**
 * 2 added how long shares had been at their limit; 1 is read as if they had just been seen. Since 3 what changes of entities
 * and of shares is in columns.
 */
const VERSION = 3
const OLDEST_VERSION = 1

export interface StageState {
  readonly nowMs: number
  readonly fleet: Fleet
  readonly graphs: TenantGraphs
  readonly open: Story[]
  readonly resolved: Story[]
  readonly changes: Change[]
  readonly anomalies: Map<string, OpenAnomaly>
  readonly muteWindows: Map<string, number>
  /** Entities, by index, whose interruption was announced. */
  readonly planned: Set<number>
  readonly counts: DisruptionCounts
  readonly maintenance: Maintenance
}

interface SavedMeta {
  readonly nowMs: number
  /** A list of memories before version 3. */
  readonly entities: SavedEntities | readonly EntityMemory[]
  readonly instances: readonly InstanceMemory[]
  readonly edges: readonly (readonly [
    source: string,
    target: string,
    lastSeenMs: number,
    given?: boolean,
    tenant?: string,
  ])[]
  readonly open: readonly Story[]
  readonly resolved: readonly Story[]
  readonly changes: readonly Change[]
  readonly anomalies: readonly OpenAnomaly[]
  readonly muteWindows: readonly (readonly [tenant: string, windows: number])[]
  readonly counts: DisruptionCounts
  /** Absent in older snapshots: those entities teach in full for a window. */
  readonly planned?: readonly number[]
  /** Absent before there were any. */
  readonly maintenance?: readonly MaintenanceWindow[]
  /** In version 2 only. */
  readonly ceilings?: readonly SavedCeiling[]
}

export function snapshotStage(state: StageState, table: SeriesTable): Snapshot {
  const keys = table.keys()
  const { columns, entities } = changing(state)
  const lastLiveMs = state.fleet.lastLiveMs(keys.length)
  const meta = copyOf({ ...savedMeta(state), entities })
  return { id: ID, version: VERSION, keys, columns: { ...columns, lastLiveMs }, meta }
}

/** As `snapshotStage`: a copy only of what goes on changing and is no column. */
export function cutStage(cut: Cut, state: StageState, table: SeriesTable): CutSnapshot {
  const { columns, entities } = changing(state)
  const meta: SavedMeta = {
    ...savedMeta(state),
    entities,
    changes: [...state.changes],
    counts: { ...state.counts },
    open: copyOf(state.open),
    resolved: copyOf(state.resolved),
  }
  const lastLiveMs = state.fleet.cutRows(cut)
  return {
    id: ID,
    version: VERSION,
    keys: [],
    rows: table.capacity,
    columns: { ...columns, lastLiveMs },
    meta,
  }
}

/** What every window changes of entities and shares, as copies. */
function changing({ fleet }: StageState): { columns: Record<string, ColumnData>; entities: SavedEntities } {
  const { memory, names } = entityColumnsOf(fleet.entities)
  const columns = { entities: memory, heardMs: fleet.heardMs(), ceilings: fleet.ceilings.saved() }
  return { columns, entities: names }
}

/** JSON-safe, as whoever reads it will have it. */
function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value))
}

/** What is shared with the stage must be copied before it goes on. */
function savedMeta(state: StageState): Omit<SavedMeta, 'entities'> {
  return {
    nowMs: state.nowMs,
    instances: state.fleet.knownInstances(),
    edges: state.graphs
      .kept()
      .map(({ source, target, lastSeenMs, given, tenant }) => [source, target, lastSeenMs, given, tenant]),
    open: state.open,
    resolved: state.resolved,
    changes: state.changes,
    anomalies: [...state.anomalies.values()],
    muteWindows: [...state.muteWindows],
    planned: [...state.planned],
    counts: state.counts,
    maintenance: state.maintenance.saved(),
  }
}

/** Fills `state` from its own part; returns the time of the last window, undefined when there is no such part. */
export function restoreStage(
  parts: readonly Snapshot[],
  state: StageState,
  table: SeriesTable,
): number | undefined {
  const part = parts.find(one => one.id === ID)
  if (!part) return undefined
  const saved = part.meta as SavedMeta
  const lastLiveMs = part.columns.lastLiveMs
  const readable = part.version >= OLDEST_VERSION && part.version <= VERSION
  const entities = readable && saved?.entities ? entitiesOf(part, saved.entities) : undefined
  if (!(lastLiveMs instanceof Float64Array) || entities === undefined) {
    throw new ForeshockError(
      'FS_SNAPSHOT_INVALID',
      `expected ${ID} v${OLDEST_VERSION} to v${VERSION}, got v${part.version}`,
    )
  }
  // Older snapshots do not say who told of an edge: those never seen by a series were given.
  for (const [source, target, lastSeenMs, given, tenant] of saved.edges)
    state.graphs.keep(...edgeOf(source, target, lastSeenMs, given ?? lastSeenMs === 0, tenant))
  // Absent before entities were forgotten.
  const { heardMs } = part.columns
  const heard = heardMs instanceof Float64Array ? heardMs : undefined
  state.fleet.restore(entities, heard, saved.nowMs, saved.instances)
  state.fleet.letGoRows(table.capacity)
  const { chunks } = state.fleet.rows
  const rowOf = rowsIn(part, table)
  for (let i = 0; i < rowsOf(part); i++) {
    const row = rowOf(i)
    if (row >= 0) chunks[row >> CHUNK_SHIFT].lastLiveMs[row & CHUNK_MASK] = lastLiveMs[i]
  }
  const { ceilings = Float64Array.from((saved.ceilings ?? []).flat()) } = part.columns
  state.fleet.ceilings.restore(ceilings, rowOf)
  state.open.splice(0, Number.POSITIVE_INFINITY, ...saved.open.map(revive))
  state.resolved.splice(0, Number.POSITIVE_INFINITY, ...saved.resolved.map(revive))
  state.changes.splice(0, Number.POSITIVE_INFINITY, ...saved.changes)
  state.anomalies.clear()
  for (const open of saved.anomalies) state.anomalies.set(open.anomaly.id, open)
  state.muteWindows.clear()
  for (const [tenant, windows] of saved.muteWindows) state.muteWindows.set(tenant, windows)
  state.planned.clear()
  for (const entity of saved.planned ?? []) state.planned.add(entity)
  Object.assign(state.counts, saved.counts)
  state.maintenance.restore(saved.maintenance ?? [])
  return saved.nowMs
}

function entitiesOf(
  { columns }: Snapshot,
  saved: SavedMeta['entities'],
): readonly EntityMemory[] | undefined {
  if ('names' in saved) return savedEntities(saved, columns.entities)
  // Before version 3 what is not known was null.
  return saved.map(entity => ({ ...entity, traffic: entity.traffic ?? Number.NaN }))
}

function edgeOf(source: string, target: string, lastSeenMs: number, given: boolean, tenant?: string) {
  return [{ source, target, lastSeenMs, given }, tenant ?? (given ? '' : 'default')] as const
}

function revive(story: Story): Story {
  const members = dictionary(story.members)
  for (const name of Object.keys(members)) {
    const member = members[name]
    members[name] = { ...member, runMs: member.runMs ?? member.onsetMs }
  }
  // Stories of an older snapshot were not measured, and had no relations.
  return {
    ...story,
    measured: story.measured ?? [],
    rankedMembers: story.rankedMembers ?? 0,
    causeFamily: story.causeFamily ?? -1,
    related: story.related ?? [],
    episodeMs: story.episodeMs ?? story.startedMs,
    earlier: story.earlier ?? [],
    told: story.told ?? story.revision > 0,
    holds: story.holds ?? [],
    members,
    evidence: dictionary(story.evidence),
  }
}
