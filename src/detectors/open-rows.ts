import type { Anomaly } from '../core/anomaly.ts'
import { instanceOf } from '../core/instance.ts'

/** An open anomaly, with its surprise when it was last told. */
export interface OpenRow {
  anomaly: Anomaly
  told: number
}

/**
 * Of one running copy of an entity so many series are told as silent at a time. A copy that is stopped takes all of its series with
 * it, which is one event, and whether it is trouble is decided where entities are looked at: by evidence, which all of them give.
 */
const SILENT_OF_ONE_MAX = 2
/** Silent series told at a time in all: half of the anomalies that the disruption stage holds, so that others find room. */
const SILENT_MAX = 10_000

type Whose = Pick<Anomaly, 'tenant' | 'entity' | 'labels'>

/** Open anomalies by row; where `sparing`, few of those that are opened by silence. */
export class OpenRows extends Map<number, OpenRow> {
  readonly sparing: boolean
  /** Silent series told of each copy. */
  readonly #silent = new Map<string, number>()
  #silentAll = 0

  constructor(sparing: boolean) {
    super()
    this.sparing = sparing
  }

  /** Whether the silence of one more series may be told. */
  hasRoomForSilence(series: Whose): boolean {
    if (!this.sparing) return true
    return this.#silentAll < SILENT_MAX && (this.#silent.get(copyOf(series)) ?? 0) < SILENT_OF_ONE_MAX
  }

  override set(row: number, open: OpenRow): this {
    this.#count(this.get(row), -1)
    this.#count(open, 1)
    return super.set(row, open)
  }

  override delete(row: number): boolean {
    this.#count(this.get(row), -1)
    return super.delete(row)
  }

  override clear(): void {
    this.#silent.clear()
    this.#silentAll = 0
    super.clear()
  }

  #count(open: OpenRow | undefined, by: 1 | -1): void {
    if (!this.sparing || open?.anomaly.imputed !== true) return
    const copy = copyOf(open.anomaly)
    const left = (this.#silent.get(copy) ?? 0) + by
    if (left > 0) this.#silent.set(copy, left)
    else this.#silent.delete(copy)
    this.#silentAll += by
  }
}

function copyOf(series: Whose): string {
  return `${series.tenant}\n${series.entity}\n${instanceOf(series)}`
}
