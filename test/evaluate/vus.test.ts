// Shows that the fast VUS-PR equals the definition computed the slow way on random cases, that a perfect score gets
// nearly 1 and that a random one gets about the share of anomalies.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { segmentsOf } from '../../src/evaluate/segments.ts'
import { vusPr } from '../../src/evaluate/vus.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

/** QUALITY.md's definition, term by term. */
function slowVus(score: number[], label: number[], maxWindow: number): number {
  const n = score.length
  const sorted = [...score].sort((a, b) => b - a)
  const tau = Array.from({ length: 250 }, (_, k) => sorted[Math.floor((k * (n - 1)) / 249 + 1e-9)])
  const segments = segmentsOf(Uint8Array.from(label))
  const positives = label.reduce((a, b) => a + b, 0)
  let sum = 0
  for (let w = 0; w <= maxWindow; w++) {
    const half = Math.floor(w / 2)
    const extended = [...label]
    for (let g = 0; g < segments.length; g += 2) {
      const [start, end] = [segments[g], segments[g + 1]]
      for (let i = end + 1; i <= Math.min(n - 1, end + half); i++) extended[i] += Math.sqrt(1 - (i - end) / w)
      for (let i = Math.max(0, start - half); i < start; i++) extended[i] += Math.sqrt(1 - (start - i) / w)
    }
    const ext = extended.map(v => Math.min(1, v))
    const wide = new Uint8Array(n)
    for (let g = 0; g < segments.length; g += 2)
      wide.fill(1, Math.max(0, segments[g] - half), Math.min(n, segments[g + 1] + half + 1))
    const merged = segmentsOf(wide)
    let area = 0
    let last = 0
    for (const t of tau) {
      const predicted = score.map(s => s >= t)
      let hits = 0
      let outside = 0
      let count = 0
      for (let i = 0; i < n; i++) {
        if (!predicted[i]) continue
        hits += ext[i]
        count++
        if (label[i] === 0) outside += ext[i]
      }
      let found = 0
      for (let g = 0; g < merged.length; g += 2)
        if (predicted.slice(merged[g], merged[g + 1] + 1).some(Boolean)) found++
      const rate = Math.min(hits / ((2 * positives + outside) / 2), 1) * (found / (merged.length / 2))
      area += (rate - last) * (hits / count)
      last = rate
    }
    sum += area
  }
  return sum / (maxWindow + 1)
}

describe('VUS-PR', () => {
  it('equals the definition', () => {
    const cases = fc
      .integer({ min: 5, max: 120 })
      .chain(n =>
        fc.tuple(
          fc.array(fc.integer({ min: 0, max: 12 }), { minLength: n, maxLength: n }),
          fc.array(fc.constantFrom(0, 0, 0, 0, 1), { minLength: n, maxLength: n }),
          fc.integer({ min: 0, max: 30 }),
        ),
      )
      .filter(([, label]) => label.includes(1))
    fc.assert(
      fc.property(cases, ([score, label, w]) => {
        const fast = vusPr(Float64Array.from(score), Uint8Array.from(label), w)
        expect(fast).toBeCloseTo(slowVus(score, label, w), 9)
      }),
      { numRuns: 150, seed: 11 },
    )
  })

  it('is near 1 for the labels themselves and near the share of anomalies for noise', () => {
    const random = mulberry32(1)
    const label = Uint8Array.from({ length: 4000 }, (_, i) => (i % 500 < 40 ? 1 : 0))
    const noise = Float64Array.from(label, () => random())
    expect(vusPr(Float64Array.from(label), label, 0)).toBeCloseTo(1, 6)
    expect(vusPr(noise, label, 0)).toBeGreaterThan(0.06)
    expect(vusPr(noise, label, 0)).toBeLessThan(0.12)
    expect(vusPr(noise, new Uint8Array(4000), 10)).toBeNaN()
  })
})
