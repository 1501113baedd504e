import type { Anomaly } from '../core/anomaly.ts'
import type { SeriesMeta, SeriesRows } from '../core/series.ts'
import type { AnomalyChange } from '../core/stages.ts'
import { type OpenRow, OpenRows } from './open-rows.ts'
import { isStronger } from './severity.ts'

/** An anomaly ends after this long, ms, and this many windows at least: what lasts is the new usual. */
const LONGEST_MS = 86_400_000
const LONGEST_WINDOWS_LEAST = 60
/** A resting series opens again at once when it is this much more surprising than what it rests from: a thousandfold rarer. */
const LOUDER_SURPRISE = 3
/** Or when its move is this many times as large: surprise is bounded, and a loud anomaly is near the bound. */
const LOUDER_MOVES = 3
/** An open anomaly is told again when it grew by this much surprise, or into a higher severity. */
const MATERIAL_SURPRISE = 1.5
/** Calm windows that close an absence once values are back. */
const RETURNED_WINDOWS = 2
/** Open anomalies held; beyond it new ones wait until others close. */
const OPEN_MAX = 100_000

/** Strongest surprise of an anomaly, and the move at it in the series' unit. */
type Loudest = readonly [surprise: number, move: number]

/** What is known of the anomalies of one series. */
export interface HeldAnomaly {
  readonly open: OpenRow | undefined
  readonly rested: Loudest | undefined
}

/** The part of a snapshot's meta that is of anomalies. */
export interface SavedAnomalies {
  readonly open: readonly { readonly told: number; readonly anomaly: Anomaly }[]
  readonly orphans: readonly Anomaly[]
  /** Absent before version 2 of the hysteresis. */
  readonly rested?: readonly (readonly [key: string, from: Loudest])[]
}

/** A window of a series with an open anomaly. */
interface Following {
  readonly endMs: number
  readonly isSilent: boolean
  readonly surprise: number
  readonly isHot: boolean
  /** Calm windows in a row, this one among them. */
  readonly calm: number
}

/** Anomalies that were told: open ones, how they grow and end, and what resting series rest from. */
export class ToldAnomalies {
  readonly #open: OpenRows
  /** What each resting series rests from. */
  readonly #rested = new Map<number, Loudest>()
  /** Anomalies of forgotten series, to be told as closed. */
  #orphans: Anomaly[] = []
  readonly #closeAfter: number
  readonly #longestMs: number

  /** `sparing`: of silence, see OpenRows. `closeAfter`: calm windows that close an anomaly. */
  constructor(sparing: boolean, closeAfter: number, stepMs: number) {
    this.#open = new OpenRows(sparing)
    this.#closeAfter = closeAfter
    this.#longestMs = Math.max(LONGEST_MS, LONGEST_WINDOWS_LEAST * stepMs)
  }

  get sparing(): boolean {
    return this.#open.sparing
  }

  /** Whether one more may be opened. */
  get hasRoom(): boolean {
    return this.#open.size < OPEN_MAX
  }

  /** Whether the silence of one more series may be told. */
  hasRoomForSilence(meta: SeriesMeta): boolean {
    return this.#open.hasRoomForSilence(meta)
  }

  all(): readonly Anomaly[] {
    return Array.from(this.#open.values(), open => open.anomaly)
  }

  /** What has ended since its series were forgotten. */
  takeOrphans(): AnomalyChange[] {
    const changes = this.#orphans.map(anomaly => closed(anomaly))
    this.#orphans = []
    return changes
  }

  open(series: number, anomaly: Anomaly): void {
    this.#rested.delete(series)
    this.#open.set(series, { anomaly, told: anomaly.surprise })
  }

  /** One more window of an open anomaly: whether it ended, or is told again. `grown` makes it as strong as that window. */
  follow(
    series: number,
    { endMs, isSilent, surprise, isHot, calm }: Following,
    grown: (anomaly: Anomaly) => Anomaly,
  ): AnomalyChange | undefined {
    const open = this.#open.get(series)
    if (open === undefined) return undefined
    const was = open.anomaly
    const hasReturned = was.direction === 'absent' && !isSilent
    if (calm >= (hasReturned ? RETURNED_WINDOWS : this.#closeAfter)) {
      this.#open.delete(series)
      return closed(was)
    }
    if (endMs - was.detectedMs >= this.#longestMs && calm === 0) {
      this.#open.delete(series)
      return closed(was, 'it has lasted so long that it is taken for the new usual')
    }
    if (!isHot) return undefined
    if (surprise <= was.surprise) {
      open.anomaly = { ...was, endMs }
      return undefined
    }
    open.anomaly = grown(was)
    const isMaterial =
      surprise >= open.told + MATERIAL_SURPRISE || isStronger(open.anomaly.severity, was.severity)
    if (!isMaterial) return undefined
    open.told = surprise
    return { event: 'updated', anomaly: open.anomaly }
  }

  /** The series rests from an anomaly that ended. */
  rest(series: number, { surprise, observed, expected }: Anomaly): void {
    const move = Math.abs(observed - expected)
    // Of silence no move is larger.
    this.#rested.set(series, [surprise, Number.isFinite(move) ? move : Number.MAX_VALUE])
  }

  /** It has rested. */
  rested(series: number): void {
    this.#rested.delete(series)
  }

  /** Whether a resting series is to be heard for this; `change` in its unit, NaN for silence. */
  isLouder(series: number, surprise: number, change: number): boolean {
    const from = this.#rested.get(series)
    // Silence that was not told rests from nothing: values that are strange are told.
    if (from === undefined) return this.sparing && !Number.isNaN(change)
    return surprise >= from[0] + LOUDER_SURPRISE || Math.abs(change) >= LOUDER_MOVES * from[1]
  }

  /** Returns what was open of the series; it is told as closed by `takeOrphans`. */
  forget(series: number): Anomaly | undefined {
    const { open } = this.release(series)
    if (open) this.#orphans.push(asOrphan(open.anomaly))
    return open?.anomaly
  }

  /** What is known of a series, which is then forgotten here without a word to anybody: for `adopt`. */
  release(series: number): HeldAnomaly {
    const held = { open: this.#open.get(series), rested: this.#rested.get(series) }
    this.#open.delete(series)
    this.#rested.delete(series)
    return held
  }

  /** Goes on with what another one knew of a series, under a row of here. */
  adopt(series: number, { open, rested }: HeldAnomaly): void {
    if (open) this.#open.set(series, { ...open, anomaly: { ...open.anomaly, series } })
    if (rested) this.#rested.set(series, rested)
  }

  /** Nothing is open or rested from, without a word to anybody. */
  letGo(): void {
    this.#open.clear()
    this.#rested.clear()
    this.#orphans = []
  }

  /** Anomalies are replaced, never changed: they need no copy. */
  saved(series: Pick<SeriesRows, 'row' | 'meta'>): SavedAnomalies {
    const open = Array.from(this.#open.values(), ({ anomaly, told }) => ({ told, anomaly }))
    const rested = Array.from(this.#rested, ([row, from]) => [series.meta(row).key, from] as const)
    return { open, orphans: [...this.#orphans], rested }
  }

  /** Goes on with what was saved; what was open of series that are gone is told as closed. */
  restore({ open, orphans, rested = [] }: SavedAnomalies, series: Pick<SeriesRows, 'row' | 'meta'>): void {
    this.#orphans = orphans.map(anomaly => asOrphan(revive(anomaly)))
    for (const [key, from] of rested) {
      const row = series.row(key)
      if (row >= 0) this.#rested.set(row, from)
    }
    for (const { told, anomaly } of open) {
      const row = series.row(anomaly.key)
      if (row < 0) this.#orphans.push(asOrphan(revive(anomaly)))
      else this.#open.set(row, { told, anomaly: { ...revive(anomaly), series: row } })
    }
  }

  bytes(): number {
    // An open anomaly is about a kilobyte of objects.
    return this.#open.size * 1024 + this.#rested.size * 50
  }
}

function closed(anomaly: Anomaly, why?: string): AnomalyChange {
  const told = why === undefined ? anomaly.why : [...anomaly.why, why]
  return { event: 'closed', anomaly: { ...anomaly, status: 'closed', why: told } }
}

/** By the time it is told as closed, its row may be another series'. */
function asOrphan(anomaly: Anomaly): Anomaly {
  return { ...anomaly, series: -1 }
}

/** JSON has no NaN: it comes back as null. */
function revive(anomaly: Anomaly): Anomaly {
  const number = (value: number | null) => value ?? Number.NaN
  return {
    ...anomaly,
    observed: number(anomaly.observed),
    expected: number(anomaly.expected),
    lower: number(anomaly.lower),
    upper: number(anomaly.upper),
  }
}
