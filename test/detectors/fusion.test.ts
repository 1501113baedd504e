// Shows why tail probabilities are fused by their harmonic mean: on independent and on strongly correlated voices
// it keeps its promise within a factor of two, while Fisher's sum breaks it many times over when they agree.
import { describe, expect, it } from 'vitest'
import { fuse, shares } from '../../src/detectors/fusion.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'

/** Upper tail of the normal law (Abramowitz & Stegun 7.1.26 would do; this is its continued fraction). */
function tail(z: number): number {
  if (z < 0) return 1 - tail(-z)
  if (z < 2.5) {
    let [term, sum] = [z, z]
    for (let k = 1; k < 60; k++) {
      term *= (-z * z) / (2 * k)
      sum += term / (2 * k + 1)
    }
    return 0.5 - sum / Math.sqrt(2 * Math.PI)
  }
  let fraction = z
  for (let k = 60; k > 0; k--) fraction = z + k / fraction
  return Math.exp(-0.5 * z * z) / (fraction * Math.sqrt(2 * Math.PI))
}

const COUNT = 200_000

function achieved(correlation: number) {
  const random = mulberry32(9)
  const voices = [0, 1, 2].map(() => new Float32Array(COUNT))
  let fisher = 0
  for (let i = 0; i < COUNT; i++) {
    const shared = gaussian(random)
    let sum = 0
    for (const voice of voices) {
      voice[i] = -Math.log10(
        tail(Math.sqrt(correlation) * shared + Math.sqrt(1 - correlation) * gaussian(random)),
      )
      sum += voice[i]
    }
    // Chi-square with six degrees of freedom, upper tail at 2·ln(10)·sum.
    const half = sum * Math.LN10
    if (Math.exp(-half) * (1 + half + (half * half) / 2) <= 1e-3) fisher++
  }
  const out = new Float32Array(COUNT)
  fuse(voices, 0, COUNT, out, new Uint8Array(COUNT))
  let harmonic = 0
  for (const s of out) if (s >= 3) harmonic++
  return { harmonic: harmonic / COUNT / 1e-3, fisher: fisher / COUNT / 1e-3 }
}

describe('fusion', () => {
  it('keeps its promise for independent and for correlated voices, where Fisher does not', () => {
    const apart = achieved(0)
    const alike = achieved(0.8)
    expect(apart.harmonic).toBeGreaterThan(0.5)
    expect(apart.harmonic).toBeLessThan(2)
    expect(alike.harmonic).toBeGreaterThan(0.3)
    expect(alike.harmonic).toBeLessThan(2)
    expect(alike.fisher).toBeGreaterThan(5)
  })

  it('takes silence for silence, one voice for itself, agreement for more', () => {
    const voices = [Float32Array.of(Number.NaN, 4, 4, 4), Float32Array.of(Number.NaN, Number.NaN, 0, 4)]
    const out = new Float32Array(4)
    const strongest = new Uint8Array(4)
    fuse(voices, 0, 4, out, strongest)
    expect(out[0]).toBeNaN()
    expect(out[1]).toBe(4)
    expect(out[2]).toBeCloseTo(4 - Math.log10(2), 2)
    expect(out[3]).toBeCloseTo(4, 2)
    expect(strongest[2]).toBe(0)
  })

  it('shares out by part of the sum', () => {
    const [a, b, c] = shares([Float32Array.of(5), Float32Array.of(4), Float32Array.of(Number.NaN)], 0)
    expect(a).toBeCloseTo(10 / 11, 2)
    expect(a + b + c).toBeCloseTo(1, 6)
  })
})
