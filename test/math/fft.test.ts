// Shows that the transform equals the sum it is defined by on random input, keeps energy (Parseval) and is undone by
// its inverse; and that other lengths are refused.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fft, fftPlan, inverseFft } from '../../src/math/fft.ts'

const lengths = fc.constantFrom(2, 4, 8, 32, 128)
const signal = lengths.chain(n =>
  fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: n, maxLength: n }),
)

describe('the Fourier transform', () => {
  it('is the sum of its definition', () => {
    fc.assert(
      fc.property(signal, values => {
        const n = values.length
        const re = Float64Array.from(values)
        const im = new Float64Array(n)
        fft(fftPlan(n), re, im)
        const size = Math.max(1, ...values.map(Math.abs)) * n
        for (let k = 0; k < n; k++) {
          let real = 0
          let imaginary = 0
          for (let t = 0; t < n; t++) {
            real += values[t] * Math.cos((2 * Math.PI * k * t) / n)
            imaginary -= values[t] * Math.sin((2 * Math.PI * k * t) / n)
          }
          expect(Math.abs(re[k] - real)).toBeLessThan(1e-9 * size)
          expect(Math.abs(im[k] - imaginary)).toBeLessThan(1e-9 * size)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('is undone by its inverse and keeps energy', () => {
    fc.assert(
      fc.property(signal, values => {
        const n = values.length
        const re = Float64Array.from(values)
        const im = new Float64Array(n)
        const plan = fftPlan(n)
        fft(plan, re, im)
        const energy = values.reduce((sum, v) => sum + v * v, 0)
        const spectrum = re.reduce((sum, v, i) => sum + v * v + im[i] * im[i], 0) / n
        expect(Math.abs(spectrum - energy)).toBeLessThanOrEqual(1e-9 * Math.max(1, energy))
        inverseFft(plan, re, im)
        const size = Math.max(1, ...values.map(Math.abs))
        for (let t = 0; t < n; t++) expect(Math.abs(re[t] - values[t])).toBeLessThan(1e-9 * size)
      }),
    )
  })

  it('refuses what is no power of two', () => {
    for (const n of [0, 1, 3, 100]) expect(() => fftPlan(n)).toThrow(RangeError)
  })
})
