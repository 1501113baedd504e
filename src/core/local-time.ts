/**
 * Wall-clock time of an IANA zone. A local time is told as the Unix ms at which clocks in UTC would show the same, so
 * that arithmetic on days and hours of the day stays plain arithmetic.
 */

/** Zones change their clocks only at multiples of this, ms: an offset holds within one. */
const OFFSET_HOLDS_MS = 900_000
/** Offsets kept; batches come in time order, so few are needed. */
const KEPT_MAX = 4096
export const DAY_MS = 86_400_000

export class LocalTime {
  readonly zone: string
  readonly isUtc: boolean
  readonly #format: Intl.DateTimeFormat | undefined
  readonly #kept = new Map<number, number>()
  #lastPlace = Number.NaN
  #lastOffset = 0

  /** Throws RangeError when the zone is not known; `isZone` asks first. */
  constructor(zone = 'UTC') {
    this.zone = zone
    this.isUtc = zone === 'UTC' || zone === 'Etc/UTC'
    this.#format = this.isUtc
      ? undefined
      : new Intl.DateTimeFormat('en-US', {
          timeZone: zone,
          calendar: 'iso8601',
          hourCycle: 'h23',
          year: 'numeric',
          month: 'numeric',
          day: 'numeric',
          hour: 'numeric',
          minute: 'numeric',
          second: 'numeric',
        })
  }

  /** How far the zone's clocks are ahead of UTC at a moment, ms. */
  offsetMs(timeMs: number): number {
    if (this.#format === undefined || !Number.isFinite(timeMs)) return 0
    const place = Math.floor(timeMs / OFFSET_HOLDS_MS)
    if (place === this.#lastPlace) return this.#lastOffset
    let offset = this.#kept.get(place)
    if (offset === undefined) {
      offset = offsetAt(this.#format, place * OFFSET_HOLDS_MS)
      if (this.#kept.size >= KEPT_MAX) this.#kept.clear()
      this.#kept.set(place, offset)
    }
    this.#lastPlace = place
    this.#lastOffset = offset
    return offset
  }

  /** What the clocks show at a moment. */
  localMs(timeMs: number): number {
    return timeMs + this.offsetMs(timeMs)
  }

  /**
   * The moment at which the clocks show a local time; the first of two. A time that is skipped is taken as if the clocks
   * had not been moved yet (RFC 5545 3.3.5).
   */
  momentOf(localMs: number): number {
    const before = this.offsetMs(localMs - DAY_MS)
    const after = this.offsetMs(localMs + DAY_MS)
    const early = localMs - Math.max(before, after)
    if (this.localMs(early) === localMs) return early
    const late = localMs - Math.min(before, after)
    return this.localMs(late) === localMs ? late : localMs - before
  }
}

export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

function offsetAt(format: Intl.DateTimeFormat, timeMs: number): number {
  const at: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(timeMs)) at[type] = Number(value)
  const shown = Date.UTC(at.year, at.month - 1, at.day, at.hour, at.minute, at.second)
  return shown - timeMs
}
