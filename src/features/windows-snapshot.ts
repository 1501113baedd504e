import { rowsIn, rowsOf } from '../core/columns.ts'
import { type Cut, CutColumn, type CutPiece, type CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesTable } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import type { Progress } from './coming-windows.ts'
import { type SampleLog, timeAt } from './sample-log.ts'
import type { EventClock } from './watermark.ts'

const OPEN = 'windows-open'
/** Samples with their times. */
const OPEN_TIMES = 1
/** Samples window by window, with their distance from its start. */
const OPEN_OFFSETS = 2

/** JSON knows no infinity: null stands for "not yet". */
type Moment = number | null

interface WindowsMeta {
  readonly stepMs: number
  readonly clock: Readonly<Record<keyof EventClock, Moment>>
  readonly nextMs: Moment
  readonly emptyRun: number
  readonly resumeMs: Moment
}

const moment = (x: number): Moment => (Number.isFinite(x) ? x : null)
const past = (x: Moment): number => x ?? Number.NEGATIVE_INFINITY

export function windowsMeta(stepMs: number, clock: EventClock, progress: Progress): WindowsMeta {
  return {
    stepMs,
    clock: {
      eventMs: moment(clock.eventMs),
      activeMs: moment(clock.activeMs),
      arrivalMs: moment(clock.arrivalMs),
      returnedMs: moment(clock.returnedMs),
      watermarkMs: moment(clock.watermarkMs),
      closedMs: moment(clock.closedMs),
    },
    nextMs: moment(progress.nextMs),
    emptyRun: progress.emptyRun,
    resumeMs: moment(progress.resumeMs),
  }
}

/** Reads what `windowsMeta` wrote. Throws FS_SNAPSHOT_INVALID when it is of another step. */
export function readMeta(meta: unknown, stepMs: number, clock: EventClock, progress: Progress): void {
  const from = meta as WindowsMeta | null
  if (from?.stepMs !== stepMs) {
    const text = `windows: saved with a step of ${from?.stepMs} ms, configured are ${stepMs} ms`
    throw new ForeshockError('FS_SNAPSHOT_INVALID', text)
  }
  clock.eventMs = past(from.clock.eventMs)
  clock.activeMs = past(from.clock.activeMs)
  clock.arrivalMs = past(from.clock.arrivalMs)
  clock.returnedMs = past(from.clock.returnedMs)
  clock.watermarkMs = past(from.clock.watermarkMs)
  clock.closedMs = past(from.clock.closedMs)
  progress.nextMs = from.nextMs ?? Number.NaN
  progress.emptyRun = from.emptyRun
  progress.resumeMs = past(from.resumeMs)
}

/** The samples of open windows: one entry a sample, `series` is an index into the keys. */
export function openSamples(log: SampleLog, table: SeriesTable): Snapshot {
  return { id: OPEN, version: OPEN_TIMES, keys: table.keys(), columns: copied(log), meta: null }
}

function copied(log: SampleLog): Record<'series' | 'timeMs' | 'value', ColumnData> {
  const series = new Uint32Array(log.length)
  const timeMs = new Float64Array(log.length)
  const value = new Float64Array(log.length)
  let at = 0
  for (const { chunks, startMs } of log.windows()) {
    for (const chunk of chunks) {
      series.set(chunk.series.subarray(0, chunk.length), at)
      value.set(chunk.value.subarray(0, chunk.length), at)
      for (let i = 0; i < chunk.length; i++) timeMs[at + i] = timeAt(chunk, startMs, i)
      at += chunk.length
    }
  }
  return { series, timeMs, value }
}

/** As `openSamples`, with rows of the table for keys, and without copying them as long as times are whole ms. */
export function cutSamples(cut: Cut, log: SampleLog, table: SeriesTable): CutSnapshot {
  const rows = table.capacity
  const windows = [...log.windows()]
  const chunks = windows.flatMap(window => window.chunks)
  if (chunks.length === 0 || chunks.some(({ exactMs }) => exactMs !== undefined))
    return { id: OPEN, version: OPEN_TIMES, keys: [], rows, columns: copied(log), meta: null }
  const Offset = chunks[0].offsetMs instanceof Uint16Array ? Uint16Array : Uint32Array
  const columns = {
    series: new CutColumn(Uint32Array, log.length),
    offsetMs: new CutColumn(Offset, log.length),
    value: new CutColumn(Float64Array, log.length),
  }
  let at = 0
  for (const chunk of chunks) {
    const { series, offsetMs, value, length } = chunk
    const pieces: CutPiece[] = [
      { column: columns.series, at, values: series.subarray(0, length) },
      { column: columns.offsetMs, at, values: offsetMs.subarray(0, length) },
      { column: columns.value, at, values: value.subarray(0, length) },
    ]
    at += length
    // Their memory is used again as soon as the window closes: written last, it is copied then; so it comes first.
    chunk.stretch?.touch()
    chunk.stretch = cut.stretch(0, () => pieces)
  }
  const meta = windows.map(({ startMs, length }) => [startMs, length])
  return { id: OPEN, version: OPEN_OFFSETS, keys: [], rows, columns, meta }
}

/** Replaces the log's content; samples of series that are gone are dropped. */
export function restoreSamples(from: Snapshot, table: SeriesTable, log: SampleLog): void {
  const { series, timeMs, offsetMs, value } = from.columns
  const times = from.version === OPEN_OFFSETS ? offsetMs : timeMs
  const same = series?.length === times?.length && series?.length === value?.length
  const isKnown = from.version === OPEN_TIMES || from.version === OPEN_OFFSETS
  const windows = from.version === OPEN_OFFSETS ? (from.meta as [number, number][]) : [[0, series?.length]]
  const held = windows.reduce((sum, [, length]) => sum + length, 0)
  if (!isKnown || !(series instanceof Uint32Array) || !same || held !== series.length)
    throw new ForeshockError('FS_SNAPSHOT_INVALID', `${OPEN} v${from.version}: of another layout`)
  const rowOf = rowsIn(from, table)
  const rows = new Int32Array(rowsOf(from))
  for (let at = 0; at < rows.length; at++) rows[at] = rowOf(at)
  log.clear()
  let i = 0
  for (const [startMs, length] of windows) {
    for (const end = i + length; i < end; i++) {
      const row = rows[series[i]] ?? -1
      if (row >= 0) log.add(row, startMs + times[i], value[i])
    }
  }
}
