// Shape distances of the phase-slot detector: `thirdNearest` with its ring, its unrolled loop and its early ends gives
// what a direct look through all of the past gives, to the last bit, for random series with repeats, gaps and spikes.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  COMPACT_PROFILE,
  SHINGLE,
  type SlotProfile,
  shapeRing,
  TINY_PROFILE,
} from '../../src/detectors/slot-profile.ts'
import { decodeShape, encodeShape, pushShape, thirdNearest } from '../../src/detectors/slot-shapes.ts'

const LINEAR_GAIN = 272
const WARM_UP = 69
const AT = 5

/** The third smallest distance of the newest shingle of `codes`, by sorting all of them. */
function direct(profile: SlotProfile, codes: readonly number[]): number {
  const n = codes.length - 1
  if (n < WARM_UP) return 0
  const value = (back: number) => {
    const code = codes[n - back]
    return profile.linearCodes ? code : decodeShape(profile, code)
  }
  const sums: number[] = []
  for (let lag = profile.firstLag; lag <= profile.lastLag && lag + SHINGLE - 1 <= n; lag++) {
    let sum = 0
    for (let k = 0; k < SHINGLE; k++) sum += (value(k) - value(k + lag)) ** 2
    sums.push(sum)
  }
  sums.sort((a, b) => a - b)
  if (sums.length < 3) return 0
  return profile.linearCodes ? Math.sqrt(sums[2]) / LINEAR_GAIN : Math.sqrt(sums[2])
}

const normalised = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -2, max: 2, noNaN: true }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, -1) },
  { weight: 1, arbitrary: fc.constantFrom(30, -30, 1e9, -1e9) },
)

describe.each([
  ['tiny', TINY_PROFILE],
  ['compact', COMPACT_PROFILE],
  ['of a short past', { ...COMPACT_PROFILE, lastLag: 23 }],
] as const)('the third nearest shape, %s', (_, profile) => {
  test('is that of a direct look, at every length of the past', () => {
    fc.assert(
      fc.property(fc.array(normalised, { minLength: 40, maxLength: 60 }), fc.nat(6), (pattern, drift) => {
        const size = shapeRing(profile)
        const ring = profile.linearCodes ? new Int16Array(size + 2 * AT) : new Int8Array(size + 2 * AT)
        const w = new Float64Array(2)
        const codes: number[] = []
        for (let n = 0; n < 2 * size + 20; n++) {
          const code = encodeShape(profile, pattern[(n + Math.floor(n / 97) * drift) % pattern.length])
          codes.push(code)
          // Not at every place: the direct look is slow. All residues of the ring come by.
          if (n % 7 === 0 || n < 90) {
            w[0] = code
            thirdNearest(profile, ring, AT, n, w, 0, 1)
            expect(w[1]).toBe(direct(profile, codes))
          }
          pushShape(profile, ring, AT, n, code)
        }
        expect([...ring.subarray(0, AT), ...ring.subarray(AT + size)].every(x => x === 0)).toBe(true)
      }),
      { numRuns: 6, seed: 7 },
    )
  })
})
