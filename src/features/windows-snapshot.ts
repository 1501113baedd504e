import { ForeshockError } from '../core/errors.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { type SampleLog, timeAt } from './sample-log.ts'
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
  const columns = { series, timeMs, value }
  return { id: 'windows-open', version: OPEN_VERSION, keys: table.keys(), columns, meta: null }
}

/** Replaces the log's content; samples of series that are gone are dropped. */
export function restoreSamples(from: Snapshot, table: SeriesTable, log: SampleLog): void {
  const { series, timeMs, value } = from.columns
  const same = series?.length === timeMs?.length && series?.length === value?.length
  if (from.version !== OPEN_VERSION || !(series instanceof Uint32Array) || !same)
    throw new ForeshockError('FS_SNAPSHOT_INVALID', `windows-open v${from.version}: of another layout`)
  const rows = from.keys.map(key => (key === '' ? -1 : table.row(key)))
  log.clear()
  for (let i = 0; i < series.length; i++) {
    const row = rows[series[i]] ?? -1
    if (row >= 0) log.add(row, timeMs[i], value[i])
  }
}
