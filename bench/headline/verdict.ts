import type { FaultPlan } from './fleet.ts'

/** What the verdict needs of a disruption that the service tells of. */
export interface ToldDisruption {
  readonly entity: string
  readonly entities: readonly string[]
  readonly startedAt: string
  readonly detectedAt: string
}

export interface Verdict {
  readonly faults: number
  readonly found: number
  /** Entities whose fault nobody told of. */
  readonly missed: readonly string[]
  /** Disruptions that have no faulty service among their entities, or were over before any fault. */
  readonly falseAlarms: number
  readonly falseEntities: readonly string[]
  /** From the first faulty step to the first disruption that names the service, event s: median and largest. */
  readonly delayS: readonly [number, number] | undefined
}

/** Names of false alarms that are told, at most. */
const NAMED_MAX = 20

/**
 * Holds what the service told of against what was done to the fleet. A disruption is of a fault when it names its service
 * and was detected after the fault began (`slackMs` for clocks that cut windows elsewhere).
 */
export function verdictOf(
  faults: readonly FaultPlan[],
  told: readonly ToldDisruption[],
  { startMs, stepMs, slackMs = stepMs }: { startMs: number; stepMs: number; slackMs?: number },
): Verdict {
  const onset = new Map(faults.map(({ entity, from }) => [entity, startMs + from * stepMs]))
  const delays = new Map<string, number>()
  const wrong: string[] = []
  for (const { entity, entities, detectedAt } of told) {
    const detectedMs = Date.parse(detectedAt)
    const named = [...new Set([entity, ...entities])].filter(
      one => detectedMs >= (onset.get(one) ?? Number.POSITIVE_INFINITY) - slackMs,
    )
    if (named.length === 0) wrong.push(entity)
    for (const one of named) {
      const delay = (detectedMs - (onset.get(one) ?? 0)) / 1000
      delays.set(one, Math.min(delay, delays.get(one) ?? Number.POSITIVE_INFINITY))
    }
  }
  const sorted = [...delays.values()].sort((a, b) => a - b)
  return {
    faults: faults.length,
    found: delays.size,
    missed: faults.map(({ entity }) => entity).filter(entity => !delays.has(entity)),
    falseAlarms: wrong.length,
    falseEntities: wrong.slice(0, NAMED_MAX),
    delayS: sorted.length === 0 ? undefined : [sorted[sorted.length >> 1], sorted[sorted.length - 1]],
  }
}
