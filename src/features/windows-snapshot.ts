import { rowsIn, rowsOf } from '../core/columns.ts'
import { type Cut, CutColumn, type CutSnapshot } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { SampleLog } from './sample-log.ts'
import type { EventClock } from './watermark.ts'
import type { Progress } from './windows.ts'

const OPEN_VERSION = 1

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
  return {
    id: 'windows-open',
    version: OPEN_VERSION,
    keys: table.keys(),
    columns: {
      series: log.series.slice(0, log.length),
      timeMs: log.timeMs.slice(0, log.length),
      value: log.value.slice(0, log.length),
    },
    meta: null,
  }
}

/** As `openSamples`, without copying them. */
export function cutSamples(cut: Cut, log: SampleLog, table: SeriesTable): CutSnapshot {
  const { length } = log
  const columns = {
    series: new CutColumn(Uint32Array, length),
    timeMs: new CutColumn(Float64Array, length),
    value: new CutColumn(Float64Array, length),
  }
  // Moved as soon as a window closes: written last, it is copied then; so it comes first.
  log.cutBy(
    cut.stretch(0, [
      { column: columns.series, at: 0, values: log.series.subarray(0, length) },
      { column: columns.timeMs, at: 0, values: log.timeMs.subarray(0, length) },
      { column: columns.value, at: 0, values: log.value.subarray(0, length) },
    ]),
  )
  return { id: 'windows-open', version: OPEN_VERSION, keys: [], rows: table.capacity, columns, meta: null }
}

/** Replaces the log's content; samples of series that are gone are dropped. */
export function restoreSamples(from: Snapshot, table: SeriesTable, log: SampleLog): void {
  const { series, timeMs, value } = from.columns
  const same = series?.length === timeMs?.length && series?.length === value?.length
  if (from.version !== OPEN_VERSION || !(series instanceof Uint32Array) || !same)
    throw new ForeshockError('FS_SNAPSHOT_INVALID', `windows-open v${from.version}: of another layout`)
  const rowOf = rowsIn(from, table)
  const rows = Int32Array.from({ length: rowsOf(from) }, (_, at) => rowOf(at))
  log.length = 0
  log.reserve(series.length)
  for (let i = 0; i < series.length; i++) {
    const row = rows[series[i]] ?? -1
    if (row < 0) continue
    log.series[log.length] = row
    log.timeMs[log.length] = timeMs[i]
    log.value[log.length] = value[i]
    log.length++
  }
}
