// Shows when a resource that ran full is told although its past came near: utilisations in percent and as shares, from
// room to the ceiling; not what was full before, what is no utilisation, or what only lies above its ceiling.
import { describe, expect, it } from 'vitest'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { changeAt, SCORE, SCORE_WIDTH } from '../../src/disruptions/change-score.ts'
import { atCeiling } from '../../src/disruptions/saturation.ts'

function scoreOf(of: { tail: number; sigma: number; observed: number; expected: number }): Float64Array {
  const score = new Float64Array(SCORE_WIDTH)
  for (const name of ['tail', 'sigma', 'observed', 'expected'] as const) score[SCORE[name]] = of[name]
  score[SCORE.isSpike] = 1
  return score
}

function full(expected: number, observed: number, kind: MetricKind = 'cpu', unit = 'percent'): number {
  const spike = scoreOf({ tail: 0.6, sigma: 2, observed, expected })
  const before = new Float64Array(30).fill(expected)
  const after = new Float64Array(5).fill(observed)
  atCeiling(spike, 0, kind, unit, before, 30, after, 5)
  return spike[SCORE.tail]
}

describe('a resource at its ceiling', () => {
  it('counts as a suspicion whatever its past', () => {
    expect(full(27, 95)).toBe(3)
    expect(full(0.27, 0.95, 'memory', 'ratio')).toBe(3)
    expect(full(0.27, 0.99, 'io')).toBe(3)
  })

  it('does not where it has room, was full before, or has no ceiling', () => {
    expect(full(27, 80)).toBe(0.6)
    expect(full(85, 99)).toBe(0.6)
    expect(full(27, 180)).toBe(0.6)
    expect(full(27, 95, 'cpu', 'm')).toBe(0.6)
    expect(full(27, 95, 'latency')).toBe(0.6)
    expect(full(Number.NaN, Number.NaN)).toBe(0.6)
  })

  it('leaves a stronger shift as it is', () => {
    const spike = scoreOf({ tail: 12, sigma: 1, observed: 99, expected: 20 })
    const values = new Float64Array(5).fill(99)
    atCeiling(spike, 0, 'cpu', 'percent', values, 5, values, 5)
    expect(changeAt(spike, 0)).toMatchObject({ tail: 12, sigma: 3 })
  })
})
