// What a soak's looks say: is memory flat, is lag flat, did anything go wrong.

export interface Look {
  readonly atS: number
  /** Resident bytes by process. */
  readonly rss: Readonly<Record<string, number>>
  /** Messages and lines that wait, in all. */
  readonly lag: number
  /** Samples accepted so far. */
  readonly accepted: number
}

export interface Verdict {
  readonly good: boolean
  /** Of resident memory by process: last fifth against the first after the warm-up, medians, as a share. */
  readonly drift: Readonly<Record<string, number>>
  /** Resident bytes by process, median of the last fifth. */
  readonly rss: Readonly<Record<string, number>>
  /** Median of the first and of the last fifth, and the most, after the warm-up. */
  readonly lag: { readonly first: number; readonly last: number; readonly most: number }
  readonly why: readonly string[]
}

const DRIFT_MAX = 0.05
/** Lag is flat when it has not grown by more than so many messages, or a tenth. */
const LAG_GROWTH_MAX = 100
const FAILURES_SHOWN = 10

export function judged(
  looks: readonly Look[],
  options: { readonly warmUpS: number; readonly isLong: boolean; readonly failures: readonly string[] },
): Verdict {
  const after = looks.filter(({ atS }) => atS >= options.warmUpS)
  const fifth = Math.max(1, Math.floor(after.length / 5))
  const first = after.slice(0, fifth)
  const last = after.slice(-fifth)
  const names = Object.keys(after.at(-1)?.rss ?? {})
  const of = (part: readonly Look[], name: string) => median(part.map(({ rss }) => rss[name]))
  const drift = Object.fromEntries(names.map(name => [name, of(last, name) / of(first, name) - 1]))
  const lag = {
    first: median(first.map(one => one.lag)),
    last: median(last.map(one => one.lag)),
    most: Math.max(0, ...after.map(one => one.lag)),
  }
  const why = options.failures.slice(0, FAILURES_SHOWN)
  if (options.failures.length > FAILURES_SHOWN)
    why.push(`and ${options.failures.length - FAILURES_SHOWN} more`)
  if (after.length === 0) why.push('it ended before the warm-up did')
  if (lag.last > lag.first * 1.1 + LAG_GROWTH_MAX) why.push(`lag grew from ${lag.first} to ${lag.last}`)
  if (options.isLong)
    for (const [name, share] of Object.entries(drift))
      if (share > DRIFT_MAX) why.push(`${name} grew by ${(100 * share).toFixed(1)} %`)
  const rss = Object.fromEntries(names.map(name => [name, of(last, name)]))
  return { good: why.length === 0, drift, rss, lag, why }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
