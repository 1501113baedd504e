import { INSTANCE_LABELS } from '../core/instance.ts'
import type { SeriesMeta } from '../core/series.ts'
import { F, isEdgeEntity, type Place, placeOf } from './families.ts'

/** What follows from a series' name and labels, and is asked for whenever suspects are ranked. */
export interface Facts {
  readonly place: Place
  /** Which copy of the caller measured the call, '' when nobody did or the callee itself. */
  readonly point: string
  /** Names the measure without the copy that takes it; '' when there is one only. */
  readonly copyOf: string
}

/** Series whose facts are remembered, by the low bits of their row; a power of two. */
const REMEMBERED = 8192

export class SeriesFacts {
  readonly #known: (tenant: string, name: string) => boolean
  readonly #metas: (SeriesMeta | undefined)[] = []
  readonly #facts: Facts[] = []

  /** `known` tells whether a name is an entity of the tenant. */
  constructor(known: (tenant: string, name: string) => boolean) {
    this.#known = known
  }

  of(row: number, meta: SeriesMeta): Facts {
    const at = row & (REMEMBERED - 1)
    if (this.#metas[at] === meta) return this.#facts[at]
    const place = placeOf(meta, name => this.#known(meta.tenant, name))
    const facts = { place, point: pointOf(meta, place), copyOf: copyOf(meta) }
    // Where such a name is split depends on which entities are known by now.
    if (isEdgeEntity(meta)) return facts
    this.#metas[at] = meta
    this.#facts[at] = facts
    return facts
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
