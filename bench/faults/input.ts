// What the fault suite sends: services with four metrics each, seeded noise around a level of their own, and faults
// planted at known windows. Event times are given, so every run is sent the very same bytes, however fast.
import { mulberry32 } from '../../src/math/mulberry32.ts'

export interface PlantedFault {
  readonly entity: number
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

export interface Input {
  readonly seed: number
  readonly entities: number
  readonly windows: number
  /** Start of window 0, Unix ms, a multiple of the step. */
  readonly baseMs: number
  readonly stepMs: number
  readonly faults: readonly PlantedFault[]
}

/** Windows before the first fault: what is normal must be known by then. */
export const LEARNING = 70
/** A fault lasts this long, and another entity's begins as often, windows. */
const FAULT_LASTS = 12
const FAULT_EVERY = 18
/** Windows at the end that nothing happens in, so that every fault is over. */
export const TAIL = 25

/** Entities in random order, one fault after the other, so that disruptions come at any moment of a run. */
export function inputOf(plan: Omit<Input, 'faults'>): Input {
  const random = mulberry32(plan.seed)
  const faults: PlantedFault[] = []
  for (let from = LEARNING; from + FAULT_LASTS + TAIL <= plan.windows; from += FAULT_EVERY)
    faults.push({ entity: Math.floor(random() * plan.entities), from, to: from + FAULT_LASTS })
  return { ...plan, faults }
}

export const entityName = (index: number): string => `service-${String(index).padStart(2, '0')}`

interface Metric {
  readonly name: string
  readonly level: number
  /** A fault multiplies the level by this. */
  readonly fault: number
  readonly counter?: true
}
const METRICS: readonly Metric[] = [
  { name: 'latency_p99_seconds', level: 0.2, fault: 6 },
  { name: 'error_ratio', level: 0.01, fault: 20 },
  { name: 'cpu_usage_ratio', level: 0.4, fault: 1.6 },
  { name: 'requests_total', level: 50, fault: 0.6, counter: true },
]
/** Of the level: half the width of its noise. */
const NOISE = 0.1
/** Samples of each series in a window; the middle of a window lies between the two. */
export const HALVES = 2

/** The lines of one half of a window, an entity after the other. Depends on its arguments alone. */
export function halfOf(input: Input, window: number, half: number): string {
  const timeMs = input.baseMs + (window + (half + 0.5) / HALVES) * input.stepMs
  const time = new Date(timeMs).toISOString()
  const lines: string[] = []
  for (let entity = 0; entity < input.entities; entity++) {
    const service = entityName(entity)
    const strange = input.faults.some(one => one.entity === entity && window >= one.from && window < one.to)
    METRICS.forEach((metric, m) => {
      const random = mulberry32(input.seed * 7919 + entity * 104_729 + m * 1_299_709 + window * 31 + half)
      random()
      const noise = 1 + NOISE * (random() + random() - 1)
      const own = metric.level * (1 + (entity % 7) / 7)
      const value = metric.counter
        ? own * (window * HALVES + half + 1) + lost(input, entity, window, half) * own + noise
        : own * noise * (strange ? metric.fault : 1)
      lines.push(JSON.stringify({ time, metric: metric.name, labels: { service }, value }))
    })
  }
  return `${lines.join('\n')}\n`
}

/** What a counter did not grow by while its entity was at fault, in halves of windows. */
function lost(input: Input, entity: number, window: number, half: number): number {
  const share = (METRICS.find(metric => metric.counter) as Metric).fault - 1
  let halves = 0
  for (const one of input.faults) {
    if (one.entity !== entity) continue
    const reached = Math.min(window * HALVES + half + 1, one.to * HALVES)
    halves += Math.max(reached - one.from * HALVES, 0)
  }
  return share * halves
}
