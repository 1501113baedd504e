import { ForeshockError } from '../core/errors.ts'
import type { CallEdge } from '../core/topology.ts'
import { readCsv } from '../ingest/csv.ts'

/**
 * Call edges of a CSV: the columns source and target in any case and order, or an adjacency matrix, whose first
 * cell is empty and whose row calls the columns that hold a number other than 0.
 */
export async function readTopology(file: string): Promise<CallEdge[]> {
  const edges: CallEdge[] = []
  let take: ((fields: readonly string[], row: number) => void) | undefined
  for await (const { row, fields } of readCsv(file)) {
    if (take) take(fields, row)
    else take = readerOf(file, row, fields, edges)
  }
  return edges
}

function readerOf(
  file: string,
  row: number,
  header: readonly string[],
  edges: CallEdge[],
): (fields: readonly string[], row: number) => void {
  const names = header.map(name => name.trim())
  const lower = names.map(name => name.toLowerCase())
  const [from, to] = [lower.indexOf('source'), lower.indexOf('target')]
  if (from >= 0 && to >= 0) {
    return (fields, at) => {
      const [source, target] = [fields[from]?.trim(), fields[to]?.trim()]
      if (!source || !target) throw invalid(file, at, 'source or target is empty')
      edges.push({ source, target })
    }
  }
  if (names[0] !== '' || names.length < 2)
    throw invalid(file, row, 'the header needs the columns source,target')
  return (fields, at) => {
    const source = fields[0]?.trim()
    if (!source) throw invalid(file, at, 'the row has no name')
    for (let i = 1; i < names.length; i++) {
      const value = Number(fields[i] ?? '')
      if (Number.isNaN(value)) throw invalid(file, at, `column ${i + 1}: "${fields[i]}" is not a number`)
      if (value !== 0) edges.push({ source, target: names[i] })
    }
  }
}

function invalid(file: string, row: number, reason: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', `${file}: row ${row}: ${reason}`)
}
