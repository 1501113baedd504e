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
import type { WireState } from './wire-table.ts'

/**
 * The layout: records of wires and sides as they lie in memory, with the rows that the series table of the same
 * checkpoint gives back; texts of the few that have their own as UTF-8; groups and histogram streams beside them.
 */
const VERSION = 2

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder('utf-8')

interface Meta extends ConverterMeta {
  readonly state: WireState
  /** Tenants and units by index, from 1. */
  readonly origins: readonly (readonly [tenant: string, unit: string])[]
}

export function snapshotConverter(convert: Converter): Snapshot[] {
  const { table } = convert
  const meta: Meta = {
    state: table.state(),
    origins: table.origins.pairs(),
    ...metaOfConverter(convert),
  }
  return [
    {
      id: INGEST_PART,
      version: VERSION,
      keys: [],
      columns: { ...table.records(), ...textColumns(table.texts()) },
      meta,
    },
  ]
}

/** Texts of wires as columns: which wire, where its text ends, the bytes of all. */
function textColumns(texts: Iterable<readonly [number, string]>): Record<string, ColumnData> {
  const wires: number[] = []
  const ends: number[] = []
  let bytes = new Uint8Array(4096)
  let at = 0
  for (const [wire, text] of texts) {
    if (bytes.length < at + 3 * text.length) {
      const longer = new Uint8Array(2 * bytes.length + 3 * text.length)
      longer.set(bytes)
      bytes = longer
    }
    at += ENCODER.encodeInto(text, bytes.subarray(at)).written
    wires.push(wire)
    ends.push(at)
  }
  return {
    textWires: Uint32Array.from(wires),
    textEnds: Float64Array.from(ends),
    textBytes: bytes.slice(0, at),
  }
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
  if (part.version !== VERSION) throw invalidIngest(`expected v${VERSION}, got v${part.version}`)
  const { wires, sides, textWires, textEnds, textBytes } = part.columns
  const meta = part.meta as Meta
  const good =
    wires instanceof Int32Array &&
    sides instanceof Int32Array &&
    textWires instanceof Uint32Array &&
    textEnds instanceof Float64Array &&
    textBytes instanceof Uint8Array
  if (
    !good ||
    wires.length !== meta.state.length * WIRE_WORDS ||
    sides.length !== meta.state.sides * SIDE_WORDS
  )
    throw invalidIngest('records of wires are missing or of another shape')
  for (const [tenant, unit] of meta.origins) table.origins.index(tenant, unit)
  if (!table.restore(meta.state, wires, sides)) throw invalidIngest('more wires than there is room for')
  for (let i = 0, from = 0; i < textWires.length; i++) {
    table.setText(textWires[i], DECODER.decode(textBytes.subarray(from, textEnds[i])))
    from = textEnds[i]
  }
  const lost = table.restoreRows(row => series.has(row))
  restoreMeta(convert, meta)
  // What they fed is no more, and its key was all that was known of their text.
  for (const wire of lost) convert.drop(wire)
}
