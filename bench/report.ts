import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { GOAL_HEADER, goalCells, goalRows } from './goals.ts'
import { type Measured, median } from './measure.ts'

/** What one run of the bench found; `bench/baseline.json` has the same shape. */
export interface Report {
  readonly schema: 1
  readonly command: string
  /** UTC. */
  readonly date: string
  readonly commit: string
  readonly machine: string
  /** Load average of one minute before and after. */
  readonly load: readonly [number, number]
  readonly results: readonly (Measured & { readonly median: number })[]
  /** Measures that ended badly, by name, with why. */
  readonly failed?: Readonly<Record<string, string>>
}

export function machine(): string {
  const all = cpus()
  const gib = Math.round(totalmem() / 2 ** 30)
  return `${all.length} × ${all[0]?.model.trim() || process.arch}, ${gib} GiB, Linux ${release()}, Node ${process.versions.node}`
}

export function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--', 'src') === '' ? '' : ' + local changes'}`
  } catch {
    return 'unknown'
  }
}

export function load(): number {
  return Math.round(loadavg()[0] * 10) / 10
}

/** What came out as no number (JSON has none for NaN and infinities) is left out, and told of where nothing else is left. */
export function summed(results: readonly Measured[]): Report['results'] {
  return results.map(one => {
    const values = one.values.filter(value => Number.isFinite(value))
    const why = values.length === 0 && one.values.length > 0 ? { why: 'what was measured is no number' } : {}
    return { ...one, ...why, values, median: median(values) }
  })
}

function shown(value: number): string {
  const size = Math.abs(value)
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Cells: what, goal, median, spread, unit, repetitions. */
function cells(one: Report['results'][number]): string[] {
  const { what, unit, atMost, values } = one
  if (values.length === 0) return [what, '', 'not measured', one.why ?? '', unit, '0']
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const goal = atMost === undefined ? '' : `≤ ${atMost}${one.median <= atMost ? '' : ' (missed)'}`
  const spread = values.length < 2 ? '' : `${shown(low)}–${shown(high)}`
  return [what, goal, shown(one.median), spread, unit, String(values.length)]
}

const HEADER = ['what', 'goal', 'median', 'min–max', 'unit', 'n']

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map(row => row[c].length)))
  return rows
    .map(row =>
      row
        .map((cell, c) => cell.padEnd(widths[c]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Tables for the terminal: what was measured, and goal by goal. */
export function table(results: Report['results']): string {
  return aligned([HEADER, ...results.map(cells)])
}

export function goalTable({ results, failed }: Report): string {
  return aligned([GOAL_HEADER, ...goalRows(results, failed).map(goalCells)])
}

const markdown = (rows: readonly (readonly string[])[]) => [
  `| ${rows[0].join(' | ')} |`,
  `| ${rows[0].map(() => '---').join(' | ')} |`,
  ...rows.slice(1).map(row => `| ${row.join(' | ')} |`),
]

/** The section of docs/results.md. */
export function section(report: Report): string {
  return [
    '## Speed',
    '',
    `\`${report.command}\`, ${report.date}, commit ${report.commit}; ${report.machine}.`,
    `Load average ${report.load[0]} before and ${report.load[1]} after: the machine was shared with other work, so`,
    'CPU time is measured, not wall time, except where the unit says wall; caches and cores were still shared, and a',
    'quiet machine is faster. Each row is measured in a process of its own; median of n repetitions.',
    '',
    ...markdown([HEADER, ...report.results.map(cells)]),
    '',
    ...Object.entries(report.failed ?? {}).flatMap(([name, why]) => [`Not measured: ${name}: ${why}.`, '']),
    '### Goals',
    '',
    'Of the same run; ratios are of repetitions that took turns, medians, CPU time but where it says wall or a second.',
    '',
    ...markdown([GOAL_HEADER, ...goalRows(report.results, report.failed).map(goalCells)]),
    '',
  ].join('\n')
}

/** Sections of docs/performance.md, each of the measures whose ids begin so. */
const PAGE_SECTIONS = [
  {
    heading: '## Memory of a series',
    prefixes: ['memory.', 'goal.8', 'slope.'],
    intro: 'Resident memory of the running service by its growth, and what the columns of each part hold.',
  },
  {
    heading: '## Roofline',
    prefixes: ['roofline.'],
    intro:
      'What memory gives to one core, and what a sample has to move through it: every column of its series read and written once is' +
      ' the floor that no code goes below; what is above it is arithmetic, decoding and misses.',
  },
] as const

/** The sections for which something was measured. */
export function pageSections(report: Report): string[] {
  return PAGE_SECTIONS.flatMap(({ heading, prefixes, intro }) => {
    const rows = report.results.filter(({ id }) => prefixes.some(prefix => id.startsWith(prefix)))
    if (rows.length === 0) return []
    const told = `\`${report.command}\`, ${report.date}, commit ${report.commit}; ${report.machine}; load average ${report.load.join(' to ')}.`
    return [[heading, '', intro, told, '', ...markdown([HEADER, ...rows.map(cells)]), ''].join('\n')]
  })
}

/** Parts of a section, each under a heading, that `text` does not bring itself. */
function keptParts(before: string, text: string): string {
  const own = new Set([...text.matchAll(/^### .*$/gm)].map(([heading]) => heading.trim()))
  return before
    .split(/^(?=### )/m)
    .slice(1)
    .filter(part => !own.has(part.split('\n', 1)[0].trim()))
    .join('')
}

/**
 * Replaces the section with the same heading, or adds it at the end. Parts of it under headings of their own that the new
 * text has not are kept behind it, and so is every other section.
 */
export function writeSection(file: string, text: string): void {
  const heading = text.split('\n', 1)[0].trim()
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '# Results\n'
  const parts = before.split(/^(?=## )/m)
  const at = parts.findIndex(part => part.split('\n', 1)[0].trim() === heading)
  if (at < 0) parts[parts.length - 1] = `${parts[parts.length - 1].trimEnd()}\n\n`
  const kept = at < 0 ? '' : keptParts(parts[at], text).trimEnd()
  const whole = kept === '' ? text : `${text}\n${kept}\n`
  const last = at < 0 || at === parts.length - 1
  parts.splice(at < 0 ? parts.length : at, at < 0 ? 0 : 1, last ? whole : `${whole}\n`)
  writeFileSync(file, parts.join(''))
}
