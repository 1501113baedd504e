import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { Converter } from './convert.ts'
import { type ConverterMeta, invalidIngest, restoreMeta } from './convert-meta.ts'
import { LegacyWires } from './legacy-wires.ts'
import { PLAN } from './wire-records.ts'
import type { WireTable } from './wire-table.ts'

/** Version 1: a column a field, a text and a row key a wire, and identities that were hashed another way. */
const COLUMNS = {
  a: Int32Array,
  b: Int32Array,
  width: Uint32Array,
  plan: Uint8Array,
  type: Uint8Array,
  unit: Uint16Array,
  tenant: Uint16Array,
  last: Float64Array,
  lastMs: Float64Array,
  cur: Float64Array,
  curMs: Float64Array,
  group: Int32Array,
  bound: Float64Array,
  seenS: Uint32Array,
} as const

type Columns = { readonly [K in keyof typeof COLUMNS]: InstanceType<(typeof COLUMNS)[K]> }

interface Meta extends ConverterMeta {
  readonly names: readonly string[]
  /** Row key per wire, '' without one. */
  readonly rowKeys: readonly string[]
}

/** Into an empty converter: as it was, but for identities, which their senders renew. */
export function restoreConverter1(convert: Converter, part: Snapshot, series: SeriesTable): void {
  const { table } = convert
  const meta = part.meta as Meta
  const { length } = part.keys
  for (const [name, type] of Object.entries(COLUMNS)) {
    const column = part.columns[name]
    if (!(column instanceof type) || column.length !== length)
      throw invalidIngest(`column ${name} is missing or of another shape`)
  }
  if (!Array.isArray(meta?.rowKeys) || meta.rowKeys.length !== length)
    throw invalidIngest('row keys are missing')
  const columns = part.columns as unknown as Columns
  // Groups and streams name wires by number, so numbers stay: free ones are taken and given back.
  for (let wire = 0; wire < length; wire++) restoreWire(table, wire, columns, part.keys[wire], meta.names)
  for (let wire = 0; wire < length; wire++) {
    if (columns.plan[wire] === PLAN.free) table.remove(wire)
    else if (meta.rowKeys[wire] !== '') {
      const row = series.row(meta.rowKeys[wire])
      if (row >= 0) table.attach(wire, row)
    }
  }
  restoreMeta(convert, meta)
  convert.legacy = new LegacyWires(table)
}

function restoreWire(
  table: WireTable,
  wire: number,
  columns: Columns,
  text: string,
  names: readonly string[],
): void {
  const plan = columns.plan[wire]
  const known = plan !== PLAN.free && plan !== PLAN.output
  const made = known
    ? table.add(columns.a[wire], columns.b[wire], columns.width[wire], text)
    : table.addOutput(text)
  if (made !== wire) throw invalidIngest('more wires than there is room for')
  if (plan === PLAN.free) return
  table.setPlan(wire, plan)
  table.setType(wire, columns.type[wire])
  table.setOrigin(wire, names[columns.tenant[wire]] ?? '', names[columns.unit[wire]] ?? '')
  table.setLast(wire, columns.last[wire], columns.lastMs[wire])
  table.setSeenS(wire, columns.seenS[wire])
  const { group, bound, cur, curMs } = columns
  if (group[wire] !== -1 || bound[wire] !== 0) table.setGroup(wire, group[wire], bound[wire])
  if (curMs[wire] !== 0) table.setCur(wire, cur[wire], curMs[wire])
}
