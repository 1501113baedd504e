import type { CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesTable } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import type { Converter } from './convert.ts'
import { addMember, Statistics } from './groups.ts'
import type { PointMemory } from './points.ts'
import { PLAN, type WireTable } from './wire-table.ts'

/** The layout: wires as columns keyed by their text, groups and histogram streams beside them. */
const ID = 'ingest'
const VERSION = 1

const COLUMNS = [
  'a',
  'b',
  'width',
  'plan',
  'type',
  'unit',
  'tenant',
  'last',
  'lastMs',
  'cur',
  'curMs',
  'group',
  'bound',
  'seenS',
] as const

interface Meta {
  readonly names: readonly string[]
  /** Row key per wire, '' without one; in a cut the column `row` stands for it. */
  readonly rowKeys?: readonly string[]
  readonly groups: readonly (null | {
    key: string
    pattern: string
    prevMs: number
    curMs: number
    seen: number
    members: number[]
    statistics: number[]
  })[]
  readonly streams: readonly {
    wire: number
    pattern: string
    statistics: number[]
    memory: PointMemory | null
  }[]
  readonly declared: readonly (readonly [string, { type: number; unit: string }])[]
  readonly grouped: readonly string[]
  readonly waiting: readonly (readonly [string, { suffix: string; wires: number[] }])[]
}

export function snapshotConverter(convert: Converter): Snapshot[] {
  const { table } = convert
  const seriesKeys = convert.series.keys()
  const rowKeys = Array.from({ length: table.length }, (_, wire) => seriesKeys[table.row[wire]] ?? '')
  const keys = table.texts.slice(0, table.length)
  const meta: Meta = { ...metaOf(convert), rowKeys }
  return [{ id: ID, version: VERSION, keys, columns: columnsOf(table), meta }]
}

/** As `snapshotConverter`, with rows of the series table for keys. */
export function cutConverter(convert: Converter): CutSnapshot[] {
  const { table } = convert
  const columns = { ...columnsOf(table), row: table.row.slice(0, table.length) }
  const keys = table.texts.slice(0, table.length)
  return [{ id: ID, version: VERSION, keys, columns, meta: metaOf(convert) }]
}

function columnsOf(table: WireTable): Record<string, ColumnData> {
  const columns: Record<string, ColumnData> = {}
  for (const name of COLUMNS) columns[name] = table[name].slice(0, table.length)
  return columns
}

function metaOf(convert: Converter): Meta {
  const { table, families } = convert
  return {
    names: [...table.names],
    groups: convert.groups.map(group =>
      group
        ? {
            key: group.key,
            pattern: group.statistics.pattern,
            prevMs: group.prevMs,
            curMs: group.curMs,
            seen: group.seen,
            members: [...group.members],
            statistics: [...group.statistics.wires],
          }
        : null,
    ),
    streams: [...convert.streams].map(([wire, { statistics, memory }]) => ({
      wire,
      pattern: statistics.pattern,
      statistics: [...statistics.wires],
      memory: memory ? structuredClone(memory) : null,
    })),
    declared: [...families.declared],
    grouped: [...families.grouped],
    waiting: structuredClone([...families.waiting]),
  }
}

/** Into an empty converter. Throws FS_SNAPSHOT_INVALID on another layout. */
export function restoreConverter(convert: Converter, parts: readonly Snapshot[], series: SeriesTable): void {
  const part = parts.find(({ id }) => id === ID)
  if (!part) return
  const { table, families } = convert
  const meta = part.meta as Meta
  if (part.version !== VERSION) throw invalid(`expected v${VERSION}, got v${part.version}`)
  const length = part.keys.length
  for (const name of COLUMNS) {
    const column = part.columns[name]
    if (column?.constructor !== table[name].constructor || column.length !== length) {
      throw invalid(`column ${name} is missing or of another shape`)
    }
  }
  const { row: rows } = part.columns
  const { rowKeys } = meta
  if ((rowKeys ?? rows)?.length !== length) throw invalid('row keys are missing')
  if (table.size > 0) throw new ForeshockError('FS_ASSERTION', 'an intake is restored only when empty')
  for (const name of meta.names) table.name(name)
  const { a, b, width, plan } = part.columns
  for (let wire = 0; wire < length; wire++) {
    table.restoreAt(wire, plan[wire], a[wire], b[wire], width[wire], part.keys[wire])
  }
  for (const name of COLUMNS) {
    if (name !== 'a' && name !== 'b' && name !== 'width') table[name].set(part.columns[name] as never)
  }
  for (let wire = 0; wire < length; wire++) {
    if (plan[wire] === PLAN.free) continue
    const row = rowKeys ? rowOf(rowKeys[wire], series) : rows[wire]
    if (row >= 0 && series.has(row)) table.attach(wire, row)
  }
  restoreGroups(convert, meta)
  for (const { wire, pattern, statistics, memory } of meta.streams) {
    convert.streams.set(wire, { statistics: statisticsOf(pattern, statistics), memory: memory ?? undefined })
  }
  for (const [family, { type, unit }] of meta.declared) families.declare(family, type, unit)
  families.restore(meta.grouped, meta.waiting)
}

function restoreGroups(convert: Converter, meta: Meta): void {
  for (const [index, saved] of meta.groups.entries()) {
    if (!saved) {
      convert.groups[index] = undefined
      convert.freeGroups.push(index)
      continue
    }
    const group = {
      key: saved.key,
      statistics: statisticsOf(saved.pattern, saved.statistics),
      members: [] as number[],
      prevMs: saved.prevMs,
      curMs: saved.curMs,
      seen: saved.seen,
    }
    for (const wire of saved.members) addMember(convert.table, group, wire)
    convert.groups[index] = group
    convert.groupIndex.set(saved.key, index)
  }
}

function statisticsOf(pattern: string, wires: readonly number[]): Statistics {
  const statistics = new Statistics(pattern)
  statistics.wires.set(wires)
  return statistics
}

function rowOf(key: string, series: SeriesTable): number {
  return key === '' ? -1 : series.row(key)
}

function invalid(detail: string): ForeshockError {
  return new ForeshockError('FS_SNAPSHOT_INVALID', `${ID}: ${detail}`)
}
