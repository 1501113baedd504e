import type { Command } from 'commander'
import { ForeshockError } from '../core/errors.ts'
import { parseTime } from '../core/time.ts'
import { Drill, type DrillColumns } from '../disruptions/drill.ts'
import type { Explanation } from '../disruptions/leaf-table.ts'
import { readCsvChunks } from '../ingest/csv.ts'

interface DrillFlags {
  readonly input: string
  readonly kind?: string
  readonly columns?: string
  readonly at?: string
}

export function addDrillCommand(cli: Command): void {
  cli
    .command('drill')
    .description('which combination of dimension values explains a deviation, as JSON')
    .requiredOption(
      '--input <file>',
      'CSV of leaf rows: dimension columns and two or three of numbers; .gz and - too',
    )
    .option('--kind <count|rate>', 'additive counts with a forecast, or a rate with its own past')
    .option(
      '--columns <pairs>',
      'which columns: observed=real,expected=predict or time=min,numerator=value,denominator=cnt',
    )
    .option('--at <time>', 'moment of a rate; default: the newest rows')
    .option('--json', 'JSON, which is what is printed anyway')
    .action(drill)
}

async function drill(flags: DrillFlags): Promise<void> {
  const atMs = flags.at === undefined ? Number.POSITIVE_INFINITY : parseTime(flags.at)
  if (Number.isNaN(atMs))
    throw new ForeshockError('FS_INPUT_INVALID', `--at ${flags.at}: write Unix s, Unix ms or ISO 8601`)
  const explanations = await drillFile(flags.input, atMs, header =>
    columnsOf(header, flags.columns, flags.kind),
  )
  process.stdout.write(`${JSON.stringify({ explanations: explanations.map(shown) }, null, 1)}\n`)
}

/** Reads leaf rows of a file and explains them. */
export async function drillFile(
  file: string,
  atMs: number,
  columns: (header: readonly string[]) => DrillColumns,
): Promise<Explanation[]> {
  let open: Drill | undefined
  let width = 0
  for await (const rows of readCsvChunks(file)) {
    for (const { row, fields } of rows) {
      if (!open) {
        const header = fields.map(name => name.trim())
        width = header.length
        open = new Drill(header, columns(header), parseTime)
        continue
      }
      const wrong =
        fields.length === width ? open.add(fields) : `${fields.length} fields, the header has ${width}`
      if (wrong !== '') throw new ForeshockError('FS_INPUT_INVALID', `${file}, row ${row}: ${wrong}`)
    }
  }
  if (!open) throw new ForeshockError('FS_INPUT_INVALID', `${file}, row 1: is missing: the file is empty`)
  return open.explain(atMs)
}

const ROLES = {
  count: { observed: ['observed', 'real', 'actual', 'value'], expected: ['expected', 'predict', 'forecast'] },
  rate: {
    time: ['time', 'timestamp', 'min'],
    numerator: ['numerator', 'errors', 'value'],
    denominator: ['denominator', 'total', 'count', 'cnt'],
  },
} as const

/** Columns as said, or by their usual names. The kind follows from the columns where it is not said. */
export function columnsOf(header: readonly string[], said?: string, kind?: string): DrillColumns {
  if (kind !== undefined && kind !== 'count' && kind !== 'rate')
    throw new ForeshockError('FS_INPUT_INVALID', `--kind ${kind}: write count or rate`)
  const pairs = pairsOf(said)
  const roleOf = (role: string, names: readonly string[]): string | undefined =>
    pairs.get(role) ?? names.find(name => header.includes(name))
  const { count, rate } = ROLES
  const observed = roleOf('observed', count.observed)
  const expected = roleOf('expected', count.expected)
  const time = roleOf('time', rate.time)
  const numerator = roleOf('numerator', rate.numerator)
  const denominator = roleOf('denominator', rate.denominator)
  const rated = kind === 'rate' || (kind === undefined && denominator !== undefined && expected === undefined)
  if (rated) {
    if (time === undefined || numerator === undefined || denominator === undefined)
      throw new ForeshockError('FS_INPUT_INVALID', 'say --columns time=…,numerator=…,denominator=…')
    return { kind: 'rate', time, numerator, denominator }
  }
  if (observed === undefined || expected === undefined)
    throw new ForeshockError('FS_INPUT_INVALID', 'say --columns observed=…,expected=…')
  return { kind: 'count', observed, expected }
}

const KNOWN: ReadonlySet<string> = new Set(['observed', 'expected', 'time', 'numerator', 'denominator'])

function pairsOf(said: string | undefined): Map<string, string> {
  const pairs = new Map<string, string>()
  for (const part of said?.split(',') ?? []) {
    const at = part.indexOf('=')
    const [role, column] = [part.slice(0, at).trim(), part.slice(at + 1).trim()]
    if (at < 0 || !KNOWN.has(role) || column === '')
      throw new ForeshockError(
        'FS_INPUT_INVALID',
        `--columns ${part}: write ${[...KNOWN].join(', ')} = column`,
      )
    pairs.set(role, column)
  }
  return pairs
}

function shown({ rank, where, score, share, observed, expected }: Explanation): Explanation {
  const short = (value: number): number => Number(value.toPrecision(6))
  return {
    rank,
    where: { ...where },
    score: short(score),
    share: short(share),
    observed: short(observed),
    expected: short(expected),
  }
}
