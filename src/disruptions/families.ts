import { INSTANCE_LABELS, instanceOf } from '../core/instance.ts'
import { type MetricKind, metricKind, unitFloor, unitOf } from '../core/metric-kind.ts'
import type { SeriesMeta } from '../core/series.ts'
import { type SeriesPart, WantedLabels } from '../core/series-records.ts'

/**
 * Families of evidence. Each entity has one value a family: its largest series, so p90, p95 and p99 of one
 * histogram count once. The order is fixed: a family's index is part of saved state.
 */
export const FAMILIES = [
  'server latency',
  'latency seen by callers',
  'latency seen by itself',
  'client latency',
  'availability',
  'errors',
  'cpu',
  'memory',
  'io',
  'network',
  'traffic',
  'saturation',
  'node',
  'other',
  'absence',
  'front door',
  'new version against old',
] as const

export const F = {
  server: 0,
  edgeSource: 1,
  edgeTarget: 2,
  client: 3,
  ok: 4,
  err: 5,
  cpu: 6,
  mem: 7,
  io: 8,
  net: 9,
  load: 10,
  sat: 11,
  node: 12,
  other: 13,
  absence: 14,
  entry: 15,
  canary: 16,
} as const

/** Slots an entity has in the columns of evidence. */
export const FAMILY_SLOTS = 17

/** What a family's strength counts for when deciding that something is wrong (measured, one setting for all). */
export const STREAM_WEIGHT: readonly number[] = [
  1, 1, 1, 0.5, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 1, 1, 0,
]
/** What it counts for when looking for the cause: resources and clients follow trouble more than they start it. */
export const CAUSE_WEIGHT: readonly number[] = [
  1, 1, 1, 0.25, 1, 1, 1, 0.25, 0.25, 0.25, 0.25, 0.25, 0.12, 0.12, 1, 1, 1,
]

/** Families in which users feel trouble; the others are what machines feel. */
export const FELT: readonly boolean[] = FAMILIES.map((_, f) => f <= F.err || f === F.entry)
/** Families that rise with traffic without anything being wrong. */
export const DRIVEN: readonly boolean[] = FAMILIES.map(
  (_, f) => f === F.cpu || (f >= F.mem && f <= F.load) || f === F.sat || f === F.node,
)

const BY_KIND: Readonly<Record<MetricKind, number>> = {
  latency: F.server,
  availability: F.ok,
  error: F.err,
  traffic: F.load,
  cpu: F.cpu,
  memory: F.mem,
  io: F.io,
  network: F.net,
  saturation: F.sat,
  other: F.other,
}

/** Where a series belongs: whose evidence it is, in which family, and which call it measures, if any. */
export interface Place {
  readonly entity: string
  readonly family: number
  /** Kind after correction by place: a call edge without a telling name measures latency. */
  readonly kind: MetricKind
  readonly caller: string | undefined
  readonly instance: string
}

export const FRONT_DOOR = '__entry__'
const EDGE_ENTITY = /^__edge_(src|dst)/
const NODE_METRIC = /^Node[A-Z]|^(kube|k8s)[_.]node[_.]/
const CLIENT_METRIC = /client|outbound|upstream/i

/**
 * `known` tells whether a name is an entity: it decides where `a_b_c` splits into caller and callee.
 * Evidence measured on a call belongs to the callee, whoever measured it.
 */
export function placeOf(meta: SeriesPart, known: (name: string) => boolean): Place {
  const instance = instanceOf(meta)
  const edge = EDGE_ENTITY.exec(meta.entity)
  if (edge) {
    const [caller, callee] = splitEdge(meta.metric, known)
    const family = edge[1] === 'src' ? F.edgeSource : F.edgeTarget
    return { entity: callee, family, kind: 'latency', caller, instance: '' }
  }
  const call = callOf(meta)
  if (call) {
    const [caller, callee] = call
    return { entity: callee, family: edgeFamily(meta, callee), kind: meta.kind, caller, instance: '' }
  }
  let family = BY_KIND[meta.kind]
  if (meta.entity === FRONT_DOOR && FELT[family]) {
    return { entity: FRONT_DOOR, family: F.entry, kind: meta.kind, caller: undefined, instance }
  }
  if (NODE_METRIC.test(meta.metric)) family = F.node
  else if (family === F.server && CLIENT_METRIC.test(meta.metric)) family = F.client
  return { entity: meta.entity, family, kind: meta.kind, caller: undefined, instance }
}

/**
 * Labels by which a series names both ends of a call: service graphs of tracing systems
 * (`traces_service_graph_request_*`), then service meshes.
 */
const CALL_LABELS: readonly (readonly [caller: string, callee: string])[] = [
  ['client', 'server'],
  ['source_workload', 'destination_workload'],
  ['source_app', 'destination_app'],
]
/** Labels by which a span or client metric of the caller names whom it called. */
const PEER_LABELS: readonly string[] = ['peer_service', 'peer.service']
/** All labels that tell where a series belongs. */
export const PLACE_LABELS = new WantedLabels([
  ...INSTANCE_LABELS,
  ...CALL_LABELS.flat(),
  ...PEER_LABELS,
  'reporter',
  'namespace',
  'service_namespace',
])
/** What tracers and meshes write when they do not know one end. */
const NOBODY = /^(unknown|<unspecified>|none)?$/i

/** Whether a series is named after both ends of a call, as recordings name them. */
export function isEdgeEntity({ entity }: SeriesMeta): boolean {
  return EDGE_ENTITY.test(entity)
}

/** Both ends of the call that a series measures, when its labels name them. */
function callOf({ labels, entity }: SeriesPart): readonly [caller: string, callee: string] | undefined {
  for (const [caller, callee] of CALL_LABELS) {
    const [from, to] = [labels[caller], labels[callee]]
    if (from && to && !NOBODY.test(from) && !NOBODY.test(to)) return [from, to]
  }
  for (const label of PEER_LABELS) {
    const to = labels[label]
    if (to && to !== entity && entity !== '' && !NOBODY.test(to)) return [entity, to]
  }
  return undefined
}

/** Family of a metric of which only the name is known. */
export function familyOfMetric(metric: string): number {
  return BY_KIND[metricKind(metric, unitOf(metric))]
}

function edgeFamily(meta: SeriesPart, server: string): number {
  if (meta.kind !== 'latency') return BY_KIND[meta.kind]
  if (CLIENT_METRIC.test(meta.metric) || meta.labels.reporter === 'source') return F.edgeSource
  // Whose series it is says who measured it; where a collector made it, its name or the mesh's reporter can.
  if (meta.entity === server || meta.labels.reporter === 'destination') return F.edgeTarget
  return /server|dst|target/i.test(meta.metric) ? F.edgeTarget : F.edgeSource
}

function splitEdge(name: string, known: (name: string) => boolean): [caller: string, callee: string] {
  let first: [string, string] | undefined
  for (let at = name.indexOf('_'); at > 0; at = name.indexOf('_', at + 1)) {
    const pair: [string, string] = [name.slice(0, at), name.slice(at + 1)]
    if (known(pair[0]) && known(pair[1])) return pair
    first ??= pair
  }
  return first ?? ['', name]
}

/** Absolute floor in the series' unit; units of the container world come beside those of `unitFloor`. */
export function floorOf(kind: MetricKind, unit: string, metric = ''): number {
  if (kind === 'cpu' && unit === 'm') return 2
  if (kind === 'memory' && (unit === 'Mi' || unit === 'MiB' || unit === 'MiBy')) return 1
  return unitFloor(kind, unit, metric)
}

/** Which way is bad for a placed series: the kind decides where the series itself says nothing. */
export function badOf(meta: SeriesMeta, place: Place): 'up' | 'down' | 'both' {
  return place.kind === meta.kind ? meta.bad : 'up'
}
