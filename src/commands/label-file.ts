import { ForeshockError } from '../core/errors.ts'
import { parseTime } from '../core/time.ts'
import { readCsv } from '../ingest/csv.ts'

/** A label as the service takes it. */
interface PostedLabel {
  readonly series?: string
  readonly entity?: string
  /** Unix ms. */
  readonly from: number
  readonly to: number
  readonly kind: string
}

/**
 * Labels of a CSV file (`-` is standard input) with the columns `entity` or `series`, `from`, `to` and `kind`, each with
 * its row. Throws FS_INPUT_INVALID naming file, row and reason.
 */
export async function readLabels(
  path: string,
): Promise<{ readonly row: number; readonly label: PostedLabel }[]> {
  const labels: { row: number; label: PostedLabel }[] = []
  let header: string[] | undefined
  for await (const { row, fields } of readCsv(path)) {
    if (header) labels.push({ row, label: labelOf(header, fields, `${path}, row ${row}`) })
    else header = headerOf(fields, path)
  }
  return labels
}

function headerOf(fields: readonly string[], path: string): string[] {
  const header = fields.map(name => name.trim().toLowerCase())
  const missing = ['from', 'to', 'kind'].find(name => !header.includes(name))
  if (missing !== undefined) throw invalid(`${path}: there is no column ${missing}`)
  if (!header.includes('entity') && !header.includes('series'))
    throw invalid(`${path}: there is no column entity, nor series`)
  return header
}

function labelOf(header: readonly string[], fields: readonly string[], where: string): PostedLabel {
  const cell = (name: string) => fields[header.indexOf(name)]?.trim() ?? ''
  const time = (name: string) => {
    const timeMs = parseTime(cell(name))
    if (Number.isNaN(timeMs))
      throw invalid(`${where}: ${name} "${cell(name)}" is not ISO 8601, Unix s or Unix ms`)
    return timeMs
  }
  const [series, entity, kind] = [cell('series'), cell('entity'), cell('kind')]
  if ((series === '') === (entity === '')) throw invalid(`${where}: name either a series or an entity`)
  if (kind !== 'anomalous' && kind !== 'normal')
    throw invalid(`${where}: kind "${kind}" is neither anomalous nor normal`)
  return { ...(series === '' ? { entity } : { series }), from: time('from'), to: time('to'), kind }
}

function invalid(text: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', text)
}
