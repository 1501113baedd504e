import { ForeshockError } from '../core/errors.ts'
import type { SeriesRows } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import type { Calibration } from './calibration.ts'
import type { Challenger, ModelLane } from './model-lane.ts'
import type { ModelPlan } from './model-plan.ts'
import { ScoringVersion } from './model-version.ts'

export const MODELS_ID = 'models@1'
const VERSION = 1

interface SavedVersion {
  readonly plan: ModelPlan
  readonly version: number
  readonly digest: string
  readonly rows: number
  readonly failed: number
  readonly problem: string | null
}

interface SavedLane {
  readonly model: string
  readonly depth: number
  /** Covered rows, whose keys lie from `from` in the keys of the snapshot. */
  readonly from: number
  readonly rows: number
  /** Covered rows in the order of their coming. */
  readonly order: readonly number[]
  readonly learnedEndMs: readonly (number | null)[]
  readonly champion: SavedVersion | null
  readonly previous: SavedVersion | null
  readonly challenger: (SavedVersion & { readonly mode: Challenger['mode']; readonly share: number }) | null
}

interface Meta {
  readonly stepMs: number
  readonly lanes: readonly SavedLane[]
  /** Digests of the versions that spoke lately, by name. */
  readonly spoke: readonly (readonly [string, string])[]
}

/** Everything but the sessions, which are opened again from the packages. */
export function snapshotModels(
  lanes: readonly ModelLane[],
  spoke: ReadonlyMap<string, string>,
  stepMs: number,
): Snapshot {
  const keys: string[] = []
  const columns: Record<string, ColumnData> = {}
  const saved = lanes.map((lane, at): SavedLane => {
    const { roster, rings, champion, previous, challenger } = lane
    const from = keys.length
    const own = roster.covered.keys()
    keys.push(...own)
    rings.ensure(own.length)
    const values = new Float64Array(own.length * rings.depth)
    const { depth } = rings
    for (let c = 0; c < own.length; c++) rings.read(c, 0, depth, values, c * depth)
    columns[`${at}.values`] = values
    for (const name of RING_COLUMNS) columns[`${at}.${name}`] = rings[name].slice(0, own.length)
    for (const [role, version] of rolesOf(lane)) saveVersion(version, `${at}.${role}.`, own.length, columns)
    return {
      model: lane.id,
      depth,
      from,
      rows: own.length,
      order: roster.order(),
      learnedEndMs: own.map((key, c) => (key === '' ? null : finite(roster.groupOf(c).learnedEndMs))),
      champion: champion ? describe(champion) : null,
      previous: previous ? describe(previous) : null,
      challenger: challenger
        ? { ...describe(challenger.version), mode: challenger.mode, share: challenger.share }
        : null,
    }
  })
  const meta: Meta = { stepMs, lanes: saved, spoke: [...spoke] }
  return { id: MODELS_ID, version: VERSION, keys, columns, meta }
}

const RING_COLUMNS = ['known', 'endMs', 'mean', 'deviation', 'count'] as const

const finite = (value: number) => (Number.isNaN(value) ? null : value)

function rolesOf(lane: ModelLane): [string, ScoringVersion][] {
  const all = { champion: lane.champion, previous: lane.previous, challenger: lane.challenger?.version }
  return Object.entries(all).filter((one): one is [string, ScoringVersion] => one[1] !== undefined)
}

function describe({ plan, named, rows, failed, problem, reopens }: ScoringVersion): SavedVersion {
  return {
    plan,
    version: named.version,
    digest: named.digest,
    rows,
    failed,
    problem: reopens ? null : (problem ?? null),
  }
}

/** The columns of a version that lie by covered row. */
function columnsOf(version: ScoringVersion): Record<string, Record<string, Float64Array>> {
  const { running, rawPoint, rawIncident } = version
  return { running: { ...running }, rawPoint: { ...rawPoint }, rawIncident: { ...rawIncident } }
}

const calibrationsOf = ({ point, incident }: ScoringVersion): Record<string, Calibration> => ({
  point,
  incident,
})

function saveVersion(
  version: ScoringVersion,
  prefix: string,
  rows: number,
  columns: Record<string, ColumnData>,
): void {
  version.ensure(rows)
  for (const [group, own] of Object.entries(columnsOf(version)))
    for (const [name, column] of Object.entries(own))
      columns[`${prefix}${group}.${name}`] = column.slice(0, rows)
  for (const [name, calibration] of Object.entries(calibrationsOf(version)))
    for (const [column, data] of Object.entries(calibration.snapshot().columns))
      columns[`${prefix}${name}/${column}`] = data
}

/** Makes an empty lane for a model. */
type NewLane = (model: string) => ModelLane

/** Puts lanes back, their series under the rows that they have now. Throws FS_SNAPSHOT_INVALID on another layout. */
export function restoreModels(
  from: Snapshot,
  series: SeriesRows,
  stepMs: number,
  size: number,
  newLane: NewLane,
): { readonly lanes: ModelLane[]; readonly spoke: Map<string, string> } {
  const meta = from.meta as Meta | null
  if (from.id !== MODELS_ID || from.version !== VERSION || meta === null)
    throw invalid(`expected ${MODELS_ID} v${VERSION}, got ${from.id} v${from.version}`)
  if (meta.stepMs !== stepMs) throw invalid(`${MODELS_ID} was saved at a step of ${meta.stepMs} ms`)
  const lanes = meta.lanes.map((saved, at) => restoreLane(from, saved, at, series, size, newLane))
  return { lanes, spoke: new Map(meta.spoke) }
}

function restoreLane(
  from: Snapshot,
  saved: SavedLane,
  at: number,
  series: SeriesRows,
  size: number,
  newLane: NewLane,
): ModelLane {
  const lane = newLane(saved.model)
  const make = (one: SavedVersion) => {
    const named = { model: saved.model, version: one.version, digest: one.digest }
    const version = new ScoringVersion(one.plan, named, size, lane.shared)
    version.rows = one.rows
    version.failed = one.failed
    version.problem = one.problem ?? undefined
    return version
  }
  const { champion, previous, challenger } = saved
  if (champion) lane.champion = make(champion)
  if (previous) lane.previous = make(previous)
  if (challenger) {
    const isPrevious = challenger.version === previous?.version
    const version = isPrevious && lane.previous ? lane.previous : make(challenger)
    lane.challenger = { version, mode: challenger.mode, share: challenger.share }
  }
  lane.rings.resize(saved.depth)
  lane.adjust()
  /** Covered row now by covered row then. */
  const now = new Int32Array(saved.rows).fill(-1)
  for (const c of saved.order) {
    const row = series.row(from.keys[saved.from + c] ?? '')
    if (row >= 0) now[c] = lane.roster.revive(row)
  }
  lane.rings.ensure(lane.roster.covered.capacity)
  restoreRings(from, saved, at, lane, now)
  for (const [c, endMs] of saved.learnedEndMs.entries())
    if (now[c] >= 0) lane.roster.groupOf(now[c]).learnedEndMs = endMs ?? NaN
  const keys = from.keys.slice(saved.from, saved.from + saved.rows)
  for (const [role, version] of rolesOf(lane)) {
    version.ensure(lane.roster.covered.capacity)
    restoreVersion(from, version, `${at}.${role}.`, keys, now)
  }
  return lane
}

function restoreRings(from: Snapshot, saved: SavedLane, at: number, lane: ModelLane, now: Int32Array): void {
  const { rings } = lane
  const values = column(from, `${at}.values`, saved.rows * saved.depth)
  const kept = RING_COLUMNS.map(name => column(from, `${at}.${name}`, saved.rows))
  for (let c = 0; c < saved.rows; c++) {
    if (now[c] < 0) continue
    const known = kept[0][c]
    const start = (c + 1) * saved.depth - known
    for (let i = 0; i < known; i++) rings.values[now[c] * rings.depth + i] = values[start + i]
    rings.next[now[c]] = known % rings.depth
    for (const [n, name] of RING_COLUMNS.entries()) rings[name][now[c]] = kept[n][c]
  }
}

function restoreVersion(
  from: Snapshot,
  version: ScoringVersion,
  prefix: string,
  keys: readonly string[],
  now: Int32Array,
): void {
  for (const [group, own] of Object.entries(columnsOf(version)))
    for (const [name, into] of Object.entries(own)) {
      const saved = column(from, `${prefix}${group}.${name}`, keys.length)
      for (let c = 0; c < keys.length; c++) if (now[c] >= 0) into[now[c]] = saved[c]
    }
  for (const [name, calibration] of Object.entries(calibrationsOf(version))) {
    const start = `${prefix}${name}/`
    const own = Object.entries(from.columns).filter(([key]) => key.startsWith(start))
    calibration.restore({
      id: calibration.id,
      version: 1,
      keys,
      columns: Object.fromEntries(own.map(([key, data]) => [key.slice(start.length), data])),
      meta: null,
    })
  }
}

function column(from: Snapshot, name: string, length: number): ColumnData {
  const found = from.columns[name]
  if (found?.length !== length) throw invalid(`${MODELS_ID}: column ${name} is missing or of another shape`)
  return found
}

function invalid(text: string): ForeshockError {
  return new ForeshockError('FS_SNAPSHOT_INVALID', text)
}
