import type { LabelSet } from './labels.ts'
import type { IntakeOptions } from './options.ts'
import type { PointSink } from './point-sink.ts'
import type { HistogramPoint } from './points.ts'
import type { ProtoReader } from './protobuf.ts'
import type { Tally } from './tally.ts'

/** What every decoder works with; lent for one body. */
export interface DecodeContext {
  readonly reader: ProtoReader
  readonly convert: PointSink
  readonly labels: LabelSet
  readonly point: HistogramPoint
  readonly tally: Tally
  readonly hash: Int32Array
  readonly options: IntakeOptions
  /** Label that a JSON line's `entity` becomes. */
  readonly entityLabel: string
  tenant: string
  /** Seeds of the identity hashes: two numbers per tenant and format. */
  seed: number
  seedCheck: number
}

/** Of a unit; what is longer is cut. Those of UCUM have a dozen characters. UTF-16 units. */
const UNIT_LENGTH_MAX = 64
/** Added to the check of an identity whose wire carries whole histograms. */
export const HISTOGRAM_CHECK = 0x8000_0000

/** Makes a wire of the labels that were read, or remembers why it is refused. */
export function finishDefine(
  c: DecodeContext,
  a: number,
  b: number,
  check: number,
  type: number,
  unit: string,
): number {
  const { labels, convert } = c
  const refused = labels.end()
  if (refused !== '') {
    convert.defineRefused(a, b, check, refused)
    convert.reject(refused, describe(labels))
    return -1
  }
  if (!convert.table.origins.hasRoom(c.tenant)) {
    convert.defineRefused(a, b, check, 'tenant-limit')
    convert.reject('tenant-limit', `${c.tenant}: as many tenants as can be told apart are known`)
    return -1
  }
  return convert.define(a, b, check, {
    tenant: c.tenant,
    metric: labels.metric,
    labels: labels.labels,
    type,
    unit: unit.slice(0, UNIT_LENGTH_MAX),
  })
}

function describe(labels: LabelSet): string {
  if (labels.metric === '') return 'a series without a metric name'
  return labels.refused === 'label-limit'
    ? `${labels.metric.slice(0, 100)}: too many labels, or a name or value too long`
    : `${labels.metric.slice(0, 100)}: labels cannot be read, or one stands twice`
}
