import { TYPE } from './families.ts'
import type { LabelSet } from './labels.ts'
import type { IntakeOptions } from './options.ts'

/** What both encodings of OTLP share. */

export const TEMPORALITY = { delta: 1, cumulative: 2 } as const

/** Bit of `flags`: the point says that there is no value. */
export const NO_RECORDED_VALUE = 1

/** How a Gauge or Sum converts. A sum that may fall is a level. */
export function numberType(sum: boolean, temporality: number, monotonic: boolean): number {
  if (!sum) return TYPE.gauge
  if (temporality === TEMPORALITY.delta) return TYPE.delta
  return monotonic ? TYPE.counter : TYPE.gauge
}

/** A resource attribute that is to be a label; the point's own attributes go before. */
export function addResource(labels: LabelSet, options: IntakeOptions, key: string, value: string): void {
  if (!Object.hasOwn(options.resourceLabels, key)) return
  const name = options.resourceLabels[key]
  if (!Object.hasOwn(labels.labels, name)) labels.add(name, value)
}
