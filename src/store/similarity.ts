import type { Disruption } from '../core/disruption.ts'
import type { Similar } from '../core/ports.ts'

/** What makes two disruptions alike. The first suspect counts most: the same cause is what people look for. */
export const WEIGHTS = { cause: 0.4, suspects: 0.2, entities: 0.2, metrics: 0.2 } as const
export type TraitKind = keyof typeof WEIGHTS
export const TRAIT_KINDS = Object.keys(WEIGHTS) as readonly TraitKind[]

/** Likenesses that differ by less are the same: sums of the same parts differ by the order they were added in. */
const EQUAL_WITHIN = 1e-9

/** Weighted mean of the overlaps (Jaccard index) of first suspect, suspects, entities and metrics. */
export function similarity(one: Disruption, other: Disruption): Similar {
  const a = traits(one)
  const b = traits(other)
  let sum = 0
  const shared = new Set<string>()
  for (const name of TRAIT_KINDS) {
    const common = [...a[name]].filter(trait => b[name].has(trait))
    const all = a[name].size + b[name].size - common.length
    if (all > 0) sum += (WEIGHTS[name] * common.length) / all
    for (const trait of common) shared.add(trait)
  }
  return { disruption: other, similarity: sum, shared: [...shared].sort() }
}

/** Below 0 when a comes first: the more similar, then the later detected, then the greater id. */
export function compareSimilar(a: Similar, b: Similar): number {
  const more = b.similarity - a.similarity
  if (Math.abs(more) > EQUAL_WITHIN) return more
  const later = Date.parse(b.disruption.detectedAt) - Date.parse(a.disruption.detectedAt)
  return later || (a.disruption.id > b.disruption.id ? -1 : 1)
}

export function traits(one: Disruption): Record<TraitKind, Set<string>> {
  const suspects = one.suspects.map(suspect => `suspect ${suspect.entity}`)
  const metrics = [
    ...one.suspects.map(suspect => suspect.metric),
    ...one.evidence.map(piece => piece.series.metric),
  ]
  return {
    cause: new Set(suspects.slice(0, 1)),
    suspects: new Set(suspects),
    entities: new Set(one.entities.map(entity => `entity ${entity}`)),
    metrics: new Set(metrics.map(metric => `metric ${metric}`)),
  }
}
