import { INSTANCE_LABELS } from '../core/instance.ts'
import { KIND_TRAITS } from '../core/metric-kind.ts'
import type { SeriesMeta } from '../core/series.ts'
import type { Yardstick } from './change-score.ts'
import { badOf, F, floorOf, isEdgeEntity, type Place, placeOf } from './families.ts'
import type { Subject } from './findings.ts'

/** What follows from a series' name and labels, and is asked for whenever suspects are ranked. */
export interface Facts {
  readonly meta: SeriesMeta
  readonly place: Place
  readonly yardstick: Yardstick
  /** Undefined where the values must tell whether it is a ratio. */
  readonly unit: string | undefined
  /** What a finding of it is about. */
  readonly subject: Subject
  /** Undefined where no label names a version. */
  readonly release: Release | undefined
}

/** Which release a series is of, and what is measured of it. */
export interface Release {
  readonly version: string
  /** The same of series that differ in their version, and in the copy that they are of. */
  readonly group: string
}

/** Series whose facts are remembered, by the low bits of their row; a power of two. */
const REMEMBERED = 8192
/** Labels that tell which release of a service a series is of, in order of preference. */
const VERSION_LABELS = ['version', 'service_version', 'service.version', 'app_version', 'release']

export class SeriesFacts {
  readonly #known: (tenant: string, name: string) => boolean
  readonly #facts: (Facts | undefined)[] = []

  /** `known` tells whether a name is an entity of the tenant. */
  constructor(known: (tenant: string, name: string) => boolean) {
    this.#known = known
  }

  /** `entity`: whose evidence the series is. */
  of(row: number, meta: SeriesMeta, entity: string): Facts {
    const at = row & (REMEMBERED - 1)
    const known = this.#facts[at]
    if (known !== undefined && known.meta === meta && known.subject.entity === entity) return known
    const facts = factsOf(
      meta,
      placeOf(meta, name => this.#known(meta.tenant, name)),
      entity,
    )
    // Where such a name is split depends on which entities are known by now.
    if (!isEdgeEntity(meta)) this.#facts[at] = facts
    return facts
  }
}

function factsOf(meta: SeriesMeta, place: Place, entity: string): Facts {
  const { kind, family, caller } = place
  return {
    meta,
    place,
    yardstick: yardstickOf(meta, place, meta.unit),
    unit: kind === 'error' && meta.unit === '' ? undefined : meta.unit,
    subject: {
      key: meta.key,
      metric: meta.metric,
      unit: kind === 'latency' && meta.unit === '' ? 's' : meta.unit,
      entity,
      family,
      onEdge: caller !== undefined,
      caller: caller ?? '',
      point: pointOf(meta, place),
      callee: '',
      copyOf: copyOf(meta),
      labels: meta.labels,
      absent: false,
    },
    release: releaseOf(meta),
  }
}

/** How a change of a series in this unit is measured. */
export function yardstickOf(meta: SeriesMeta, place: Place, unit: string): Yardstick {
  return {
    bad: badOf(meta, place),
    relativeFloor: KIND_TRAITS[place.kind].relativeFloor,
    unitFloor: floorOf(place.kind, unit, meta.metric),
    emptyIsZero: place.family === F.err,
  }
}

/** Which copy of the caller measured a call. */
function pointOf(meta: SeriesMeta, { caller, family }: Place): string {
  if (caller === undefined || (meta.entity !== caller && family !== F.edgeSource)) return ''
  const copy = INSTANCE_LABELS.find(name => meta.labels[name])
  return JSON.stringify([caller, copy === undefined ? '' : meta.labels[copy]])
}

/** Labels of a series without those that name the copy. */
function copyOf(meta: SeriesMeta): string {
  if (!INSTANCE_LABELS.some(name => meta.labels[name])) return ''
  const rest = Object.keys(meta.labels)
    .filter(name => !INSTANCE_LABELS.includes(name))
    .sort()
    .map(name => `${name}=${meta.labels[name]}`)
  return `${meta.metric} ${rest.join(' ')}`
}

function releaseOf(meta: SeriesMeta): Release | undefined {
  const label = VERSION_LABELS.find(name => meta.labels[name])
  if (label === undefined || meta.entity === '') return undefined
  const rest = Object.keys(meta.labels)
    .filter(name => name !== label && !INSTANCE_LABELS.includes(name))
    .sort()
    .map(name => [name, meta.labels[name]])
  return { version: meta.labels[label], group: JSON.stringify([meta.entity, meta.metric, rest]) }
}
