/** One number that was measured several times. */
export interface Measured {
  /** Stable name, such as `tier0.ns`: what a baseline is compared by. */
  readonly id: string
  readonly what: string
  readonly unit: string
  /** The goal it is held against, at most; left out where there is none. */
  readonly atMost?: number
  /** Left out: less is better. */
  readonly better?: 'more'
  /** Why it has no values. */
  readonly why?: string
  /** One value a repetition. */
  readonly values: readonly number[]
}

/** CPU time of this process, ns: waiting for other processes on the machine does not count. */
export function cpuNs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const mid = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2
}

/** Collects garbage; run with --expose-gc. */
export function collect(): void {
  const gc = (globalThis as { gc?: () => void }).gc
  if (!gc) throw new Error('run with --expose-gc')
  gc()
  gc()
}

/** A measure runs in a process of its own and says what it found as one line of JSON. */
export function say(measured: readonly Measured[]): void {
  process.stdout.write(`${JSON.stringify(measured)}\n`)
}

/** True when only that it runs is of interest, not the numbers. */
export const QUICK = process.argv.includes('--quick')
