/** What one place in the pool for suspects costs with one of its detectors. */
export interface PlaceCost {
  /** State of a series. */
  readonly bytes: number
  /** CPU a window: what a sample took on two shared cores of an AMD EPYC with a cold cache (docs/detectors.md). */
  readonly microseconds: number
}

export interface PoolBudget {
  /** Series at most. */
  readonly size: number
  /** State of all of them, bytes. */
  readonly budget?: number | undefined
  /** CPU that a window of all of them may take, ms. */
  readonly time?: number | undefined
}

/** How many series a pool has places for, and what it is that bounds them. */
export interface PoolPlaces {
  readonly places: number
  readonly bound: 'size' | 'bytes' | 'milliseconds'
}

/**
 * A budget of bytes and milliseconds in places. Costs are stated, not measured as it runs: what is scored must not depend on how busy
 * the machine is, or a replay would find something else.
 */
export function placesOf({ size, budget, time }: PoolBudget, costs: readonly PlaceCost[]): PoolPlaces {
  const bytes = costs.reduce((sum, cost) => sum + cost.bytes, 0)
  const microseconds = costs.reduce((sum, cost) => sum + cost.microseconds, 0)
  const bounds = [
    { places: size, bound: 'size' },
    { places: budget === undefined ? size : Math.floor(budget / bytes), bound: 'bytes' },
    { places: time === undefined ? size : Math.floor((1000 * time) / microseconds), bound: 'milliseconds' },
  ] as const
  return bounds.reduce((least, one) => (one.places < least.places ? one : least))
}
