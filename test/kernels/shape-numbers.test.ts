// The whole numbers in which the kernel `tiny` looks for shapes say what codes stand for: in every scale they rise with the code, are off by no more than is said,
// as the bytes have it too from which the kernel makes them, and eight squared differences of them fit into 32 bits.
import { describe, expect, it } from 'vitest'
import { DECODED } from '../../src/detectors/slot-shapes.ts'
import { SHAPE_SCALES, shapeNumbers } from '../../src/kernels/shape-numbers.ts'

const { numbers, factors, error } = shapeNumbers(DECODED)
const view = new DataView(factors.buffer)

/** As the kernel makes it: bytes by halves of the code, a product rounded to its upper bits, an offset turned round with the sign. */
function made(scale: number, code: number): number {
  const at = 32 + 48 * scale
  const lower = (code < 0 ? ~code : code) & 15
  const upper = (code >> 4) & 15
  const fine = ((factors[16 + lower] << 24) >> 16) | factors[lower]
  const coarse = ((factors[at + 16 + upper] << 24) >> 16) | factors[at + upper]
  const offset = view.getInt16(at + 32, true)
  return Math.floor((fine * coarse) / 32768 + 0.5) - (code < 0 ? ~offset : offset)
}

describe('numbers of shapes', () => {
  for (let scale = 0; scale < SHAPE_SCALES; scale++) {
    const codes = Array.from({ length: 32 * (scale + 1) }, (_, i) => i - 16 * (scale + 1))
    const of = (code: number) => numbers[256 * scale + 128 + code]

    it(`are those of the factors, and rise, up to code ${codes.at(-1)}`, () => {
      for (const code of codes) expect(of(code)).toBe(made(scale, code))
      for (const code of codes.slice(1)) expect(of(code)).toBeGreaterThan(of(code - 1))
    })

    it(`are as far apart as codes up to ${codes.at(-1)} say, within the error`, () => {
      const units = (view.getInt16(32 + 48 * scale + 32, true) + 0.5) / 0.3
      const off = codes.map(code => of(code) - units * DECODED[128 + code])
      expect(2 * Math.sqrt(8) * (Math.max(...off) - Math.min(...off))).toBeLessThan(error[0] + 1e-9)
      expect(error[0]).toBeLessThan(12)
      expect(8 * (of(codes.at(-1)!) - of(codes[0])) ** 2).toBeLessThan(2 ** 32 - 1)
    })
  }
})
