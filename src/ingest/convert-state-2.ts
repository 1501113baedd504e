import type { ColumnData } from '../core/snapshot.ts'
import { invalidIngest } from './convert-meta.ts'
import type { WireTable } from './wire-table.ts'

const DECODER = new TextDecoder('utf-8')

/** Texts of wires as version 2 had them: which wire, where its text ends, the bytes of all. */
export function restoreTexts2(table: WireTable, columns: Readonly<Record<string, ColumnData>>): void {
  const { textWires, textEnds, textBytes } = columns
  const good =
    textWires instanceof Uint32Array && textEnds instanceof Float64Array && textBytes instanceof Uint8Array
  if (!good) throw invalidIngest('records of wires are missing or of another shape')
  for (let i = 0, from = 0; i < textWires.length; i++) {
    table.setText(textWires[i], DECODER.decode(textBytes.subarray(from, textEnds[i])))
    from = textEnds[i]
  }
}
