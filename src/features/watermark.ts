import type { SampleBatch } from '../core/batch.ts'
import { type LogChunk, NO_CHUNK, put, type SampleLog, WindowLog } from './sample-log.ts'

/** Before the first sample. */
const NOWHERE = new WindowLog(Number.NaN)

/**
 * Event time: min(newest event, arrival) − lateness, never backwards. A sender with a fast clock cannot push it
 * beyond arrival; without samples for `idleMs` it goes on with arrival, keeping the distance it had.
 */
export interface EventClock {
  /** Newest event time, bounded by arrival when it came; −Infinity before the first. */
  eventMs: number
  /** Arrival of the last accepted sample, plus time in which nobody listened; −Infinity before the first. */
  activeMs: number
  /** Newest arrival; −Infinity before the first. */
  arrivalMs: number
  /** Arrival that ended the last stretch in which nobody listened; −Infinity before the first. */
  returnedMs: number
  watermarkMs: number
  /** Windows that end at or before this are closed; a multiple of the step. */
  closedMs: number
}

export function eventClock(): EventClock {
  const none = Number.NEGATIVE_INFINITY
  return {
    eventMs: none,
    activeMs: none,
    arrivalMs: none,
    returnedMs: none,
    watermarkMs: none,
    closedMs: none,
  }
}

export interface ClockLimits {
  readonly stepMs: number
  readonly latenessMs: number
  readonly idleMs: number
  readonly futureLimitMs: number
  readonly openSamplesMax: number
  readonly openWindowsMax: number
}

/** What one batch lost: counts, and the index of the first of each kind. */
export interface Sifted {
  late: number
  firstLate: number
  future: number
  firstFuture: number
  infinite: number
  firstInfinite: number
  full: number
}

export function nothingLost(): Sifted {
  return { late: 0, firstLate: 0, future: 0, firstFuture: 0, infinite: 0, firstInfinite: 0, full: 0 }
}

/**
 * Appends the samples of a batch that belong to open windows. The clock advances sample by sample, so the
 * result does not depend on where batches were cut.
 */
export function sift(
  batch: SampleBatch,
  arrivalMs: number,
  log: SampleLog,
  clock: EventClock,
  limits: ClockLimits,
  out: Sifted,
): void {
  const { series, timeMs, value, length } = batch
  const { stepMs, latenessMs, openWindowsMax } = limits
  const now = Math.max(arrivalMs, clock.arrivalMs)
  const futureMs = now + limits.futureLimitMs
  const room = limits.openSamplesMax - log.length
  let taken = 0
  // The window that the last sample lay in and its chunk, which is written from `begun` to `at` and told of it when left.
  let window = NOWHERE
  let chunk = NO_CHUNK
  let startMs = Number.NaN
  let endMs = Number.NaN
  let begun = 0
  let at = 0
  let { series: toSeries, offsetMs: toOffsetMs, value: toValue, capacity } = chunk
  let isWhole = true
  let { eventMs, watermarkMs, closedMs } = clock
  for (let i = 0; i < length; i++) {
    const t = timeMs[i]
    if (!(t <= futureMs && t > Number.NEGATIVE_INFINITY)) {
      if (out.future++ === 0) out.firstFuture = i
      continue
    }
    if (t < closedMs) {
      if (out.late++ === 0) out.firstLate = i
      continue
    }
    const v = value[i]
    if (v === Number.POSITIVE_INFINITY || v === Number.NEGATIVE_INFINITY) {
      if (out.infinite++ === 0) out.firstInfinite = i
      continue
    }
    if (taken >= room) {
      out.full++
      continue
    }
    if (at === capacity || !(t >= startMs && t < endMs)) {
      if (!log.hasRoom(t, openWindowsMax)) {
        out.full++
        continue
      }
      leave(window, chunk, begun, at)
      window = log.window(t)
      startMs = window.startMs
      endMs = startMs + stepMs
      chunk = log.room(window)
      begun = chunk.length
      at = begun
      toSeries = chunk.series
      toOffsetMs = chunk.offsetMs
      toValue = chunk.value
      capacity = chunk.capacity
      isWhole = chunk.exactMs === undefined
    }
    const offset = t - startMs
    // A whole ms of a window, as it is nearly always.
    if (isWhole && (offset | 0) === offset && startMs + offset === t) {
      toSeries[at] = series[i]
      toOffsetMs[at] = offset
      toValue[at++] = v
    } else {
      chunk.length = at
      put(chunk, startMs, series[i], t, v)
      at++
      isWhole = chunk.exactMs === undefined
    }
    taken++
    if (t > eventMs) {
      eventMs = t < now ? t : Math.max(eventMs, now)
      const mark = eventMs - latenessMs
      if (mark > watermarkMs) {
        watermarkMs = mark
        const closed = Math.floor(mark / stepMs) * stepMs
        if (closed > closedMs) closedMs = closed
      }
    }
  }
  leave(window, chunk, begun, at)
  clock.arrivalMs = now
  if (taken > 0) clock.activeMs = now
  log.length += taken
  clock.eventMs = eventMs
  clock.watermarkMs = watermarkMs
  clock.closedMs = closedMs
}

/** Samples stand in a chunk from `begun` to `at`. */
function leave(window: WindowLog, chunk: LogChunk, begun: number, at: number): void {
  chunk.length = at
  window.length += at - begun
}

/** Ticks come every second or so; a longer pause between two calls says that this process was away, ms. */
const UNHEARD_MS = 10_000

/** A tick may wait for a minute until it can be written; one that is told so much earlier says that its clock was set, ms. */
const SET_BACK_MS = 5 * 60_000

/**
 * Arrival time goes on; pushes the watermark when the input has been idle. A long jump between two calls is time
 * in which nobody listened, such as a restart: what the sources kept back then is not late.
 */
export function passTime(clock: EventClock, arrivalMs: number, limits: ClockLimits): void {
  const passed = arrivalMs - clock.arrivalMs
  if (passed > Math.max(limits.idleMs, UNHEARD_MS) && Number.isFinite(passed)) {
    clock.activeMs += passed
    clock.returnedMs = arrivalMs
  }
  clock.arrivalMs = Math.max(clock.arrivalMs, arrivalMs)
  if (clock.activeMs === Number.NEGATIVE_INFINITY) return
  const idle = clock.arrivalMs - clock.activeMs - limits.idleMs
  if (idle <= 0) return
  const event = Math.min(clock.eventMs + idle, clock.arrivalMs)
  closeUpTo(clock, event - limits.latenessMs, limits.stepMs)
}

/**
 * The clock that ticks are told by was set back, after it had run ahead: time goes on from where it is now. Only ticks say so, as all of
 * a partition come from one clock; messages may bear any time.
 */
export function setBack(clock: EventClock, tickMs: number): boolean {
  const passed = tickMs - clock.arrivalMs
  if (!(passed < -SET_BACK_MS) || !Number.isFinite(passed)) return false
  clock.activeMs += passed
  clock.arrivalMs = tickMs
  clock.returnedMs = Math.min(clock.returnedMs, tickMs)
  return true
}

/** Moves the watermark forward to `watermarkMs`; backwards is ignored. */
export function closeUpTo(clock: EventClock, watermarkMs: number, stepMs: number): void {
  if (!(watermarkMs > clock.watermarkMs)) return
  clock.watermarkMs = watermarkMs
  clock.closedMs = Math.max(clock.closedMs, Math.floor(watermarkMs / stepMs) * stepMs)
}
