// The table of the fault suite, for people.
import type { Comparison } from './outcome.ts'

export interface Row {
  readonly name: string
  readonly what: string
  /** Undefined where the case could not be done, with the reason among the problems. */
  readonly comparison?: Comparison
  readonly lastedSeconds: number
  readonly recoverySeconds: number
  readonly bodiesAgain: number
  readonly problems: readonly string[]
}

/** What must be zero; telling the same again is what receivers are for. */
export function faultsOf(row: Row): string[] {
  const wrong = Object.entries(row.comparison ?? {})
    .filter(([name, count]) => name !== 'repeats' && count !== 0)
    .map(([name, count]) => `${name} ${count}`)
  return [...wrong, ...row.problems]
}

const COLUMNS = [
  ['case', row => row.name],
  ['lost', row => row.comparison?.disruptionsLost ?? '–'],
  ['more', row => row.comparison?.disruptionsMore ?? '–'],
  ['other content', row => row.comparison?.disruptionsDiffer ?? '–'],
  ['ids with two contents', row => row.comparison?.idsWithTwoContents ?? '–'],
  ['windows lost', row => row.comparison?.windowsLost ?? '–'],
  ['scored twice', row => row.comparison?.windowsTwice ?? '–'],
  ['windows that differ', row => row.comparison?.windowsDiffer ?? '–'],
  ['repeats', row => row.comparison?.repeats ?? '–'],
  ['lasted s', row => row.lastedSeconds.toFixed(1)],
  ['recovery s', row => row.recoverySeconds.toFixed(1)],
] as const satisfies readonly (readonly [string, (row: Row) => string | number])[]

/** A table in Markdown, and under it what did not hold. */
export function tableOf(rows: readonly Row[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  const problems = rows.flatMap(row => faultsOf(row).map(text => `${row.name}: ${text}`))
  return [
    line(COLUMNS.map(([title]) => title)),
    line(COLUMNS.map(() => '---')),
    ...rows.map(row => line(COLUMNS.map(([, cell]) => cell(row)))),
    '',
    ...problems,
  ].join('\n')
}
