import type { Disruption } from '../core/disruption.ts'
import type { Similar } from '../core/ports.ts'

/** What makes two disruptions alike. The first suspect counts most: the same cause is what people look for. */
const WEIGHTS = { cause: 0.4, suspects: 0.2, entities: 0.2, metrics: 0.2 } as const

/** Weighted mean of the overlaps (Jaccard index) of first suspect, suspects, entities and metrics. */
export function similarity(one: Disruption, other: Disruption): Similar {
  const a = traits(one)
  const b = traits(other)
  let sum = 0
  const shared = new Set<string>()
  for (const name of Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]) {
    const common = [...a[name]].filter(trait => b[name].has(trait))
    const all = a[name].size + b[name].size - common.length
    if (all > 0) sum += (WEIGHTS[name] * common.length) / all
    for (const trait of common) shared.add(trait)
  }
  return { disruption: other, similarity: sum, shared: [...shared].sort() }
}

function traits(one: Disruption): Record<keyof typeof WEIGHTS, Set<string>> {
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
