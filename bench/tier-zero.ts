import type { Config } from '../src/config/schema.ts'
import { parseConfig } from '../src/config.ts'

/**
 * What is configured where tier 0 alone is measured: every series but one is plain, so it has the whole `tiny` detector and
 * nothing beside it. Where this version has no plain series, what it does by default.
 */
export const TIER_ZERO: Readonly<Record<string, unknown>> = known({ detection: { richSeries: 1 } })

function known(wanted: Record<string, unknown>): Record<string, unknown> {
  try {
    parseConfig(wanted)
    return wanted
  } catch {
    return {}
  }
}

export function tierZeroConfig(series: number, stepMs: number): Config {
  return parseConfig({
    ...TIER_ZERO,
    ingest: { maxSeries: Math.max(series, 1_000_000) },
    features: { step: `${stepMs}ms`, idle: '10h' },
  })
}
