import { z } from 'zod'
import { median } from './measure.ts'

/** Holds one report of the bench against another. */

/** More of a change to the worse than this is a regression. */
const REGRESSION = 0.15
/** Quartiles of fewer values say nothing: their whole spread is taken. */
const QUARTILES_FROM = 4

const measureSchema = z.object({
  id: z.string().min(1),
  what: z.string(),
  unit: z.string(),
  better: z.literal('more').optional(),
  why: z.string().optional(),
  values: z.array(z.number()),
})
const reportSchema = z.object({
  schema: z.literal(1),
  command: z.string(),
  date: z.string(),
  commit: z.string(),
  machine: z.string(),
  results: z.array(measureSchema),
})
type Measure = z.infer<typeof measureSchema>
export type ComparedReport = z.infer<typeof reportSchema>

/** A report as `--json` writes it, or what is wrong with it. */
export function parseReport(text: string): ComparedReport | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return `not JSON: ${(error as Error).message}`
  }
  const parsed = reportSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]
  return `not a report of the bench: ${path.join('.') || 'top level'}: ${message}`
}

export interface Change {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly before: number
  readonly after: number
  /** How much worse, as a share of before; negative: better. */
  readonly worse: number
}

export interface Comparison {
  readonly regressions: readonly Change[]
  /** Worse by as much, but the repetitions of the two overlap. */
  readonly noisy: readonly Change[]
  readonly improvements: readonly Change[]
  readonly same: number
  /** Ids that were agreed and not measured now, with why where it is known. */
  readonly missing: readonly string[]
  /** Figures of CPU that are not compared, since they are of another machine. */
  readonly elsewhere: number
  /** Ids measured now without an agreed figure. */
  readonly unknown: readonly string[]
}

/** Of wall times, a ratio says more of the machine than of the code. */
const isRatio = (unit: string) => unit.startsWith('×') && !unit.includes('wall')
const isCpu = (unit: string) => unit.includes('CPU')
/** Bytes do not depend on the machine's speed. */
const isBytes = (unit: string) => /^B(\/|$)/.test(unit)

function spreadOf(values: readonly number[]): readonly [number, number] {
  const sorted = [...values].sort((a, b) => a - b)
  if (sorted.length < QUARTILES_FROM) return [sorted[0], sorted[sorted.length - 1]]
  const at = (q: number) => sorted[Math.round(q * (sorted.length - 1))]
  return [at(0.25), at(0.75)]
}

function changeOf(before: Measure, after: Measure): { change: Change; overlap: boolean } {
  const [from, to] = [median(before.values), median(after.values)]
  const scale = Math.max(Math.abs(from), Number.MIN_VALUE)
  const worse = (before.better === 'more' ? from - to : to - from) / scale
  const [a, b] = [spreadOf(before.values), spreadOf(after.values)]
  // Single values have no spread to hide behind.
  const spread = before.values.length > 1 || after.values.length > 1
  const { id, what, unit } = before
  return {
    change: { id, what, unit, before: from, after: to, worse },
    overlap: spread && a[0] <= b[1] && b[0] <= a[1],
  }
}

/** What is worse, better, noisy or missing. CPU figures count on the same machine only, ratios and bytes everywhere. */
export function compared(agreed: ComparedReport, now: ComparedReport): Comparison {
  const found = new Map(now.results.map(one => [one.id, one]))
  const known = new Set(agreed.results.map(({ id }) => id))
  const regressions: Change[] = []
  const noisy: Change[] = []
  const improvements: Change[] = []
  const missing: string[] = []
  let [same, elsewhere] = [0, 0]
  for (const before of agreed.results) {
    const anywhere = isRatio(before.unit) || isBytes(before.unit)
    if (before.values.length === 0 || !(anywhere || isCpu(before.unit))) continue
    const after = found.get(before.id)
    if (after === undefined || after.values.length === 0) {
      missing.push(after?.why === undefined ? before.id : `${before.id} (${after.why})`)
      continue
    }
    if (!anywhere && agreed.machine !== now.machine) {
      elsewhere++
      continue
    }
    const { change, overlap } = changeOf(before, after)
    if (change.worse > REGRESSION) (overlap ? noisy : regressions).push(change)
    else if (change.worse < -REGRESSION && !overlap) improvements.push(change)
    else same++
  }
  const unknown = now.results.filter(({ id }) => !known.has(id)).map(({ id }) => id)
  return { regressions, noisy, improvements, same, missing, elsewhere, unknown }
}

function line({ id, what, unit, before, after, worse }: Change): string {
  const percent = `${worse > 0 ? '+' : ''}${(100 * worse).toFixed(0)} %`
  return `  ${id}: ${before.toPrecision(3)} → ${after.toPrecision(3)} ${unit}, ${percent} worse (${what})`
}

/** What a person reads. */
export function verdictText(comparison: Comparison): string {
  const { regressions, noisy, improvements, same, missing, elsewhere, unknown } = comparison
  const part = (title: string, lines: readonly string[]) => (lines.length === 0 ? [] : [title, ...lines])
  return [
    ...part(`${regressions.length} regressed by more than 15 %:`, regressions.map(line)),
    ...part('Worse, but within the spread of the repetitions:', noisy.map(line)),
    ...part('Better:', improvements.map(line)),
    ...part(
      'Not measured now:',
      missing.map(id => `  ${id}`),
    ),
    ...(unknown.length > 0 ? [`New, without an agreed figure: ${unknown.join(', ')}`] : []),
    ...(elsewhere > 0 ? [`${elsewhere} figures of CPU are of another machine and were not compared`] : []),
    `${same} as agreed${regressions.length === 0 ? '; no regression' : ''}`,
  ].join('\n')
}
