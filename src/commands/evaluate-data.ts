import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ForeshockError } from '../core/errors.ts'
import { readCsvChunks } from '../ingest/csv.ts'
import { numberOf, timeOf } from './score-cells.ts'
import { StepFinder } from './score-clock.ts'

export const UNIVARIATE_SUITES = ['nab', 'kpi'] as const
export const MULTIVARIATE_SUITES = ['smd', 'asd', 'jumpstarter'] as const
export type UnivariateSuite = (typeof UNIVARIATE_SUITES)[number]
export type MultivariateSuite = (typeof MULTIVARIATE_SUITES)[number]
export type Suite = UnivariateSuite | MultivariateSuite
export const SUITES: readonly Suite[] = [...UNIVARIATE_SUITES, ...MULTIVARIATE_SUITES]

/** One labelled series; rows before `testFrom` are history. */
export interface LabelledSeries {
  readonly timeMs: Float64Array
  readonly value: Float64Array
  readonly label: Uint8Array
  readonly testFrom: number
  readonly stepMs: number
  /** NAB's windows as row ranges, both ends inclusive. */
  readonly windows: readonly (readonly [number, number])[]
}

/** One labelled entity, row-major values of the history, then of the test. */
export interface LabelledEntity {
  readonly metrics: number
  readonly values: Float64Array
  readonly testFrom: number
  readonly label: Uint8Array
  readonly stepMs: number
  /** Which metrics each anomaly is about, or ''. */
  readonly interpretation: string
}

/** Names of a suite's series, relative to its folder. */
export function namesOf(suite: Suite, data: string): string[] {
  const folder = { nab: 'nab/data', kpi: 'kpi/test', smd: 'smd/test', asd: 'asd/test' } as const
  const path = join(data, suite === 'jumpstarter' ? 'jumpstarter/Dataset2/test' : folder[suite])
  if (!existsSync(path)) throw new ForeshockError('FS_INPUT_INVALID', `${path}: no such folder`)
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map(name => name.replaceAll('\\', '/'))
    .filter(name => /\.csv(\.gz)?$/.test(name))
    .sort()
}

export async function loadSeries(
  suite: UnivariateSuite,
  data: string,
  name: string,
): Promise<LabelledSeries> {
  const columns = { time: [] as number[], value: [] as number[], label: [] as number[] }
  if (suite === 'kpi') await readColumns(join(data, 'kpi/train', name), columns)
  const testFrom = columns.time.length
  await readColumns(join(data, suite === 'nab' ? 'nab/data' : 'kpi/test', name), columns)
  const timeMs = Float64Array.from(columns.time)
  const label = Uint8Array.from(columns.label)
  const steps = new StepFinder()
  let stepMs = NaN
  for (let i = 0; i < timeMs.length && Number.isNaN(stepMs); i++) stepMs = steps.add(timeMs[i])
  if (Number.isNaN(stepMs)) throw new ForeshockError('FS_INPUT_INVALID', `${name}: too few rows`)
  const windows = suite === 'nab' ? nabWindows(data, name, timeMs) : []
  for (const [first, last] of windows) label.fill(1, first, last + 1)
  return { timeMs, value: Float64Array.from(columns.value), label, testFrom, stepMs, windows }
}

async function readColumns(
  path: string,
  into: { time: number[]; value: number[]; label: number[] },
): Promise<void> {
  let isHeader = true
  for await (const rows of readCsvChunks(path)) {
    for (const { fields: cells } of rows) {
      if (!isHeader) {
        into.time.push(timeOf(cells[0]))
        into.value.push(numberOf(cells[1]))
        into.label.push(cells[2] !== undefined && numberOf(cells[2]) > 0 ? 1 : 0)
      }
      isHeader = false
    }
  }
}

function nabWindows(data: string, name: string, timeMs: Float64Array): [number, number][] {
  const path = join(data, 'nab/labels/combined_windows.json')
  const all = JSON.parse(readFileSync(path, 'utf8')) as Record<string, [string, string][]>
  const listed = all[name.replace(/\.gz$/, '')]
  if (!listed) throw new ForeshockError('FS_INPUT_INVALID', `${path}: nothing about ${name}`)
  return listed.map(([from, to]) => {
    const [fromMs, toMs] = [timeOf(from), timeOf(to)]
    return [timeMs.findIndex(t => t >= fromMs), timeMs.findLastIndex(t => t <= toMs)]
  })
}

/** Sampling step of each multivariate set, ms; its files carry no times. */
const STEP_MS: Readonly<Record<MultivariateSuite, number>> = {
  smd: 60_000,
  asd: 300_000,
  jumpstarter: 300_000,
}

export async function loadEntity(
  suite: MultivariateSuite,
  data: string,
  name: string,
): Promise<LabelledEntity> {
  const folder = join(data, suite === 'jumpstarter' ? 'jumpstarter/Dataset2' : suite)
  const train = await readRows(join(folder, 'train', name))
  const test = await readRows(join(folder, 'test', name))
  const metrics = train[0].length
  const label =
    suite === 'jumpstarter'
      ? (await readRows(join(folder, 'test_label', name))).map(row => row[0])
      : test.map(row => row[metrics])
  const values = new Float64Array((train.length + test.length) * metrics)
  for (const [r, row] of [...train, ...test].entries()) values.set(row.slice(0, metrics), r * metrics)
  const said = join(folder, 'interpretation_label', name.replace(/\.csv(\.gz)?$/, '.txt'))
  return {
    metrics,
    values,
    testFrom: train.length,
    label: Uint8Array.from(label, value => (value > 0 ? 1 : 0)),
    stepMs: STEP_MS[suite],
    interpretation: existsSync(said) ? readFileSync(said, 'utf8') : '',
  }
}

async function readRows(path: string): Promise<number[][]> {
  const rows: number[][] = []
  for await (const chunk of readCsvChunks(path))
    for (const { fields } of chunk) rows.push(fields.map(numberOf))
  return rows
}
