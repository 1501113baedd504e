import { Cut, type CutColumn, type CutSnapshot, settled } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesTable } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import { SIDE_WORDS, WIRE_WORDS } from '../kernels/assembly/_wire-layout.ts'
import type { Converter } from './convert.ts'
import {
  type ConverterMeta,
  INGEST_PART,
  invalidIngest,
  metaOfConverter,
  restoreMeta,
} from './convert-meta.ts'
import { restoreConverter1 } from './convert-state-1.ts'
import { restoreTexts2 } from './convert-state-2.ts'
import { type GroupTexts, groupColumns, savedGroups } from './group-columns.ts'
import type { WireState } from './wire-table.ts'
import type { SavedTexts } from './wire-texts.ts'

/**
 * The layout: records of wires and sides as they lie in memory, with the rows that the series table of the same
 * checkpoint gives back; texts of the few that have their own as they lie in theirs; groups as columns, and histogram
 * streams beside them. Version 2 had texts one by one, and groups as JSON.
 */
const VERSION = 3

interface CommonMeta {
  readonly state: WireState
  /** Tenants and units by index, from 1. */
  readonly origins: readonly (readonly [tenant: string, unit: string])[]
  /** Absent in older checkpoints. */
  readonly lookedS?: number
}

type Meta2 = CommonMeta & ConverterMeta
type Meta = CommonMeta & Omit<ConverterMeta, 'groups'> & GroupTexts & { readonly texts: SavedTexts }

/** Copies nothing that grows with the series but what groups hold: see `Cut`. */
export function cutConverter(convert: Converter, cut: Cut): CutSnapshot[] {
  const { table } = convert
  const groups = groupColumns(convert.plans.groups)
  const columns: Record<string, ColumnData | CutColumn> = { ...groups.columns }
  const texts = table.cut(cut, columns)
  const meta: Meta = {
    state: table.state(),
    origins: table.origins.pairs(),
    lookedS: convert.idle.lookedS,
    texts,
    ...groups.texts,
    ...metaOfConverter(convert),
  }
  return [{ id: INGEST_PART, version: VERSION, keys: [], columns, meta }]
}

export function snapshotConverter(convert: Converter): Snapshot[] {
  const cut = new Cut()
  return settled(cutConverter(convert, cut), cut)
}

/** Into an empty converter. Throws FS_SNAPSHOT_INVALID on another layout. */
export function restoreConverter(convert: Converter, parts: readonly Snapshot[], series: SeriesTable): void {
  const part = parts.find(({ id }) => id === INGEST_PART)
  if (!part) return
  const { table } = convert
  if (table.size > 0) throw new ForeshockError('FS_ASSERTION', 'an intake is restored only when empty')
  if (part.version === 1) {
    restoreConverter1(convert, part, series)
    return
  }
  if (part.version !== 2 && part.version !== VERSION)
    throw invalidIngest(`expected v${VERSION}, got v${part.version}`)
  const { wires, sides } = part.columns
  const meta = part.meta as Meta | Meta2
  if (
    !(wires instanceof Int32Array && sides instanceof Int32Array) ||
    wires.length !== meta.state.length * WIRE_WORDS ||
    sides.length !== meta.state.sides * SIDE_WORDS
  )
    throw invalidIngest('records of wires are missing or of another shape')
  table.origins.restore(meta.origins)
  convert.idle.lookedS = meta.lookedS ?? 0
  if (!table.restore(meta.state, wires, sides)) throw invalidIngest('more wires than there is room for')
  if (part.isGiven === true) delete (part.columns as Record<string, ColumnData>).wires
  if ('texts' in meta) table.restoreTexts(part.columns, meta.texts, part.isGiven)
  else restoreTexts2(table, part.columns)
  const lost = table.restoreRows(row => series.has(row))
  const groups = 'groups' in meta ? meta.groups : savedGroups(part.columns, meta)
  if (groups === undefined) throw invalidIngest('groups are missing or of another shape')
  restoreMeta(convert, { ...meta, groups })
  // What they fed is no more, and its key was all that was known of their text.
  for (const wire of lost) convert.plans.drop(wire)
}
