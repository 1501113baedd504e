import type { Anomaly } from '../core/anomaly.ts'
import type { ByteWriter } from '../core/byte-writer.ts'
import type { Labels, SeriesMeta } from '../core/series.ts'
import { seriesKey } from '../core/series.ts'
import type { AnomalyChange } from '../core/stages.ts'
import type { ByteCursor } from './byte-cursor.ts'

/** What of a window report is text: descriptions of series, and changes of anomalies. */

const decoder = new TextDecoder()

/** A description as it is written; `hasOwnKey`: the key is not what `seriesKey` makes of the rest. */
export function describe(meta: SeriesMeta, hasOwnKey: boolean): string {
  const { tenant, metric, labels, entity, unit, kind, bad, key } = meta
  const fields: unknown[] = [tenant, metric, labels, entity, unit, kind, bad]
  if (hasOwnKey) fields.push(key)
  return JSON.stringify(fields)
}

/** The other way round; the reason when it is none. */
export function described(bytes: Uint8Array): SeriesMeta | string {
  const fields = jsonOf(bytes)
  if (!Array.isArray(fields) || fields.length < 7 || fields.length > 8)
    return 'a series of a window report is not described as a list of 7 or 8'
  const [tenant, metric, labels, entity, unit, kind, bad, key] = fields
  const texts = [tenant, metric, entity, unit, kind, bad, ...(fields.length === 8 ? [key] : [])]
  if (!texts.every(text => typeof text === 'string') || !isLabels(labels))
    return 'a series of a window report is described by what is no text'
  const own = fields.length === 8 ? key : seriesKey(metric, labels, tenant)
  return { key: own, tenant, metric, labels, entity, unit, kind, bad }
}

function isLabels(value: unknown): value is Labels {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(text => typeof text === 'string')
  )
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
  }
}

const EVENTS: readonly AnomalyChange['event'][] = ['opened', 'updated', 'closed']
/** Written as they are: JSON has no NaN. */
const NUMBERS = [
  'startMs',
  'endMs',
  'detectedMs',
  'observed',
  'expected',
  'lower',
  'upper',
  'surprise',
  'tailProbability',
  'score',
] as const satisfies readonly (keyof Anomaly)[]
/** Said by the description of the series, which stands in the same part. */
const DESCRIBED = ['series', 'key', 'metric', 'labels', 'entity', 'tenant'] as const

/** Bytes of a change, about. */
export const CHANGE_BYTES = 600
/** In place of a slot, where the series is gone: then the change describes it itself. No slot is as high. */
export const NO_SLOT = 0x0100_0000

export function writeChange(out: ByteWriter, { event, anomaly }: AnomalyChange): void {
  const isGone = anomaly.series < 0
  out.varint(isGone ? NO_SLOT : anomaly.series)
  out.varint(EVENTS.indexOf(event))
  for (const name of NUMBERS) out.double(anomaly[name])
  const rest: Record<string, unknown> = { ...anomaly }
  for (const name of NUMBERS) delete rest[name]
  for (const name of DESCRIBED) if (!isGone || name === 'series') delete rest[name]
  out.string(JSON.stringify(rest))
}

/** A change as it came: of a slot, not yet of a series. */
export interface ReadChange {
  readonly slot: number
  readonly event: AnomalyChange['event']
  readonly rest: Omit<Anomaly, (typeof DESCRIBED)[number]>
  /** What a change without a slot says of its series. */
  readonly gone: Pick<Anomaly, (typeof DESCRIBED)[number]> | undefined
}

/** The reason when it cannot be read. */
export function readChange(from: ByteCursor): ReadChange | string {
  const slot = from.varint()
  const event = EVENTS[from.varint()]
  const numbers: Record<string, number> = {}
  for (const name of NUMBERS) numbers[name] = from.double()
  const rest = jsonOf(from.take(from.varint()))
  if (from.broken || event === undefined) return 'a change in a window report ends too early'
  if (typeof rest !== 'object' || rest === null || Array.isArray(rest))
    return 'a change in a window report is no object'
  const { id, why, detectors } = rest as Partial<Anomaly>
  if (typeof id !== 'string' || !Array.isArray(why) || !Array.isArray(detectors))
    return 'a change in a window report is of no anomaly'
  const gone = slot === NO_SLOT ? goneOf(event, rest) : undefined
  if (typeof gone === 'string') return gone
  return { slot, event, rest: { ...(rest as ReadChange['rest']), ...numbers }, gone }
}

function goneOf(event: AnomalyChange['event'], rest: Partial<Anomaly>): ReadChange['gone'] | string {
  const { key, metric, labels, entity, tenant } = rest
  const isWhole = [key, metric, entity, tenant].every(text => typeof text === 'string') && isLabels(labels)
  if (event !== 'closed' || !isWhole) return 'a change in a window report is of no series'
  return { series: -1, key, metric, labels, entity, tenant } as ReadChange['gone']
}

/** The anomaly as the reader's own table knows its series. */
export function changeOfSeries(read: ReadChange, series: number, meta: SeriesMeta): AnomalyChange {
  const { key, metric, labels, entity, tenant } = meta
  return { event: read.event, anomaly: { ...read.rest, series, key, metric, labels, entity, tenant } }
}

/** The anomaly of a series that nobody's table holds any more. */
export function changeOfGone(
  { event, rest }: ReadChange,
  gone: NonNullable<ReadChange['gone']>,
): AnomalyChange {
  return { event, anomaly: { ...rest, ...gone } }
}
