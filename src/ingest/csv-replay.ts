import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type SampleBatch, sampleBatch } from '../core/batch.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Rejects } from '../core/rejects.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import { parseTime } from '../core/time.ts'
import { parseValue, readCsvChunks } from './csv.ts'
import { canonicalUnit, metaOf, safeName, unitFor } from './naming.ts'
import { INTAKE_DEFAULTS, type IntakeOptions } from './options.ts'

export interface ReplayContext {
  readonly series: SeriesTable
  readonly rejects: Rejects
  readonly options?: Partial<IntakeOptions>
}

export interface ReplaySummary {
  readonly rows: number
  readonly samples: number
  readonly rejected: number
  readonly firstMs: number
  readonly lastMs: number
}

const BATCH_ROWS = 4096

/** Samples of a file that is not in order are sorted in memory: 24 bytes each. */
const SORT_SAMPLES_MAX = 50_000_000

/**
 * Recorded metrics of many entities → batches in time order (stable: equal times keep the file's order), one
 * batch never spanning more than it must. Wide: `timestamp`, then `entity|metric[|statistic]` columns; long:
 * `timestamp,entity,metric,value[,unit,dim.*]` (`service` is understood for `entity`). A folder is read file by file in name order and merged. Each
 * series carries `service` = its entity (the first entity label). `onBatch` may be asynchronous; the batch is
 * lent until it resolves. Throws FS_INPUT_INVALID naming file, row and reason.
 */
export async function replayRows(
  path: string,
  context: ReplayContext,
  onBatch: (batch: SampleBatch) => void | Promise<void>,
): Promise<ReplaySummary> {
  const sorter = new TimeSorter(context.rejects)
  const reader = new ReplayReader(context, sorter)
  for (const file of replayFiles(path)) await reader.read(file)
  await sorter.deliver(onBatch)
  return {
    rows: reader.rows,
    samples: sorter.length,
    rejected: reader.rejected,
    firstMs: sorter.firstMs,
    lastMs: sorter.lastMs,
  }
}

/** The CSV files of a folder by name, or the file itself. */
export function replayFiles(path: string): string[] {
  if (path === '-') return [path]
  let folder: boolean
  try {
    folder = statSync(path).isDirectory()
  } catch {
    throw new ForeshockError('FS_INPUT_INVALID', `${path}: there is no such file`)
  }
  if (!folder) return [path]
  const files = readdirSync(path)
    .filter(name => /\.csv(\.gz)?$/.test(name))
    .sort()
  if (files.length === 0)
    throw new ForeshockError('FS_INPUT_INVALID', `${path}: holds no .csv or .csv.gz file`)
  return files.map(name => join(path, name))
}

/** Where the times of a recording stand, by its header; -1 when no column is named so. */
export function timeColumn(header: readonly string[]): number {
  return header.findIndex(name => /^(timestamp|time|datetime|date)$/i.test(name.trim()))
}

/** Growing columns that are sorted by time, if they are not already, before they are delivered. */
class TimeSorter {
  readonly #rejects: Rejects
  #series = new Uint32Array(BATCH_ROWS)
  #timeMs = new Float64Array(BATCH_ROWS)
  #value = new Float64Array(BATCH_ROWS)
  #ordered = true
  length = 0
  firstMs = Number.NaN
  lastMs = Number.NaN

  constructor(rejects: Rejects) {
    this.#rejects = rejects
  }

  add(series: number, timeMs: number, value: number): void {
    if (this.length === this.#series.length) this.#grow(timeMs)
    const at = this.length++
    this.#series[at] = series
    this.#timeMs[at] = timeMs
    this.#value[at] = value
    if (timeMs < this.lastMs) this.#ordered = false
    if (!(timeMs >= this.firstMs)) this.firstMs = timeMs
    if (!(timeMs <= this.lastMs)) this.lastMs = timeMs
  }

  async deliver(onBatch: (batch: SampleBatch) => void | Promise<void>): Promise<void> {
    const order = this.#ordered ? undefined : this.#order()
    const batch = sampleBatch(BATCH_ROWS)
    for (let i = 0; i < this.length; i++) {
      const from = order ? order[i] : i
      const at = batch.length++
      batch.series[at] = this.#series[from]
      batch.timeMs[at] = this.#timeMs[from]
      batch.value[at] = this.#value[from]
      if (batch.length < batch.capacity && i < this.length - 1) continue
      const pending = onBatch(batch)
      if (pending) await pending
      batch.length = 0
    }
  }

  /** Indices by time, then by place in the files. */
  #order(): Uint32Array {
    const order = new Uint32Array(this.length)
    for (let i = 0; i < order.length; i++) order[i] = i
    const timeMs = this.#timeMs
    return order.sort((a, b) => timeMs[a] - timeMs[b] || a - b)
  }

  #grow(timeMs: number): void {
    if (this.length >= SORT_SAMPLES_MAX) {
      this.#rejects.add('replay-limit', `more than ${SORT_SAMPLES_MAX} samples`, timeMs)
      throw new ForeshockError('FS_INPUT_TOO_LARGE', `more than ${SORT_SAMPLES_MAX} samples; replay in parts`)
    }
    const length = Math.min(2 * this.#series.length, SORT_SAMPLES_MAX)
    const series = new Uint32Array(length)
    series.set(this.#series)
    this.#series = series
    const times = new Float64Array(length)
    times.set(this.#timeMs)
    this.#timeMs = times
    const values = new Float64Array(length)
    values.set(this.#value)
    this.#value = values
  }
}

/** Reads files of either shape into a sorter. */
class ReplayReader {
  readonly #context: ReplayContext
  readonly #options: IntakeOptions
  readonly #sorter: TimeSorter
  rows = 0
  rejected = 0

  constructor(context: ReplayContext, sorter: TimeSorter) {
    this.#context = context
    this.#options = { ...INTAKE_DEFAULTS, ...context.options }
    this.#sorter = sorter
  }

  async read(file: string): Promise<void> {
    let take: ((fields: string[], row: number) => void) | undefined
    let columns = 0
    for await (const rows of readCsvChunks(file)) {
      for (const { row, fields } of rows) {
        if (!take) {
          take = this.#header(file, fields)
          columns = fields.length
          continue
        }
        if (fields.length !== columns) {
          throw invalid(file, row, `has ${fields.length} fields, the header has ${columns}`)
        }
        take(fields, row)
        this.rows++
      }
    }
    if (!take) throw invalid(file, 1, 'is missing: the file is empty')
  }

  #header(file: string, header: string[]): (fields: string[], row: number) => void {
    const names = header.map(name => name.trim())
    const time = timeColumn(names)
    if (time < 0) throw invalid(file, 1, 'names no timestamp column')
    return (names.includes('entity') || names.includes('service')) &&
      names.includes('metric') &&
      names.includes('value')
      ? this.#long(file, names, time)
      : this.#wide(file, names, time)
  }

  #wide(file: string, names: readonly string[], time: number): (fields: string[], row: number) => void {
    const columns = new Map<string, number>()
    const series = names.map((name, column) => {
      if (column === time) return -1
      const before = columns.get(name)
      if (before !== undefined)
        throw invalid(file, 1, `columns ${before + 1} and ${column + 1} are both ${name}`)
      columns.set(name, column)
      const [entity, metric, statistic] = name.split('|')
      if (!metric) throw invalid(file, 1, `column ${column + 1} is not entity|metric: ${name}`)
      return this.#intern(entity, statistic ? `${metric}:${statistic}` : metric, '', {})
    })
    return (fields, row) => {
      const timeMs = readTime(file, row, fields[time])
      for (let column = 0; column < series.length; column++) {
        if (column === time) continue
        const value = readNumber(file, row, names[column], fields[column])
        if (Number.isNaN(value)) continue
        if (series[column] < 0) this.#refuse(file, row, timeMs)
        else this.#sorter.add(series[column], timeMs, value)
      }
    }
  }

  #long(file: string, names: readonly string[], time: number): (fields: string[], row: number) => void {
    const entity = names.includes('entity') ? names.indexOf('entity') : names.indexOf('service')
    const metric = names.indexOf('metric')
    const value = names.indexOf('value')
    const unit = names.indexOf('unit')
    const dims = names.flatMap((name, column) =>
      name.startsWith('dim.') ? [{ name: name.slice(4), column }] : [],
    )
    // Of this file alone: another one may have the same values under other names.
    const known = new Map<string, number>()
    return (fields, row) => {
      const timeMs = readTime(file, row, fields[time])
      if (fields[metric] === '') throw invalid(file, row, 'has no metric')
      const number = readNumber(file, row, 'value', fields[value])
      if (Number.isNaN(number)) return
      let identity = `${fields[entity]}\n${fields[metric]}`
      for (const { column } of dims) identity += `\n${fields[column]}`
      let series = known.get(identity)
      if (series === undefined) {
        const labels: Record<string, string> = {}
        for (const { name, column } of dims)
          if (fields[column] !== '') labels[safeName(name)] = fields[column]
        series = this.#intern(fields[entity], fields[metric], unit < 0 ? '' : fields[unit], labels)
        if (series >= 0) known.set(identity, series)
      }
      if (series < 0) this.#refuse(file, row, timeMs)
      else this.#sorter.add(series, timeMs, number)
    }
  }

  #intern(entity: string, metric: string, unit: string, labels: Record<string, string>): number {
    return this.#context.series.intern(recordedMeta(entity, metric, unit, labels, this.#options))
  }

  #refuse(file: string, row: number, timeMs: number): void {
    this.rejected++
    const reason = this.#context.series.refusal('default') ?? 'series-limit'
    this.#context.rejects.add(reason, `${file}, row ${row}: no room for its series`, timeMs)
  }
}

/** Entities of recordings that stand for a call (`__edge_src|frontend_cart`): what they record is its latency in s. */
const EDGE_ENTITY = /^__edge_/

/** What is known of a recorded series. A name or unit in the recording decides before any guess. */
export function recordedMeta(
  entity: string,
  metric: string,
  unit: string,
  labels: Readonly<Record<string, string>>,
  options: IntakeOptions = INTAKE_DEFAULTS,
): SeriesMeta {
  const named: Record<string, string> = { ...labels }
  const label = options.entityLabels[0] ?? 'service'
  if (entity !== '' && !(label in named)) named[label] = entity
  const safe = safeName(metric)
  const edge = EDGE_ENTITY.test(entity)
  const said = unit === '' ? unitInName(metric) : canonicalUnit(unit)
  const declared = edge && said === '' ? 's' : said
  const meta = metaOf('default', safe, named, unitFor(safe, declared), options)
  const own = entity === '' ? meta : { ...meta, entity }
  return edge ? { ...own, kind: 'latency', bad: 'up' } : own
}

/** Units that some exporters put in brackets: `PodLatencyP99(s)`, `CpuUsage(m)`, `MemoryUsage(Mi)`. */
const BRACKETED: Readonly<Record<string, string>> = { ops: '1/s', b: 'By', by: 'By', m: 'm', mi: 'Mi' }

function unitInName(metric: string): string {
  const found = /\((s|ms|us|ns|%|By?|bytes|Ops|m|Mi)\)/i.exec(metric)?.[1] ?? ''
  if (found === '' && /[a-z]Bytes$/.test(metric)) return 'By'
  return BRACKETED[found.toLowerCase()] ?? canonicalUnit(found)
}

function readTime(file: string, row: number, field: string): number {
  const timeMs = parseTime(field)
  if (Number.isNaN(timeMs)) throw invalid(file, row, `"${field.slice(0, 40)}" is not a time`)
  return timeMs
}

function readNumber(file: string, row: number, column: string, field: string): number {
  const value = parseValue(field)
  if (value === undefined)
    throw invalid(file, row, `column ${column}: "${field.slice(0, 40)}" is not a number`)
  return Number.isFinite(value) ? value : Number.NaN
}

function invalid(file: string, row: number, reason: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', `${file}, row ${row}: ${reason}`)
}
