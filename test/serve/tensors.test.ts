// Tensors of the inference protocol: every datatype as JSON and as bytes gives the same numbers, and what FP32 cannot hold
// without loss is refused, not rounded. The bytes are written by Node's own typed arrays.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytesOfTensor,
  datatypeOf,
  jsonOfTensor,
  tensorOfBytes,
  tensorOfJson,
} from '../../src/serve/tensors.ts'

const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
const WIDE: Readonly<Record<string, (values: readonly number[]) => ArrayBufferView>> = {
  BOOL: values => Uint8Array.from(values),
  UINT8: values => Uint8Array.from(values),
  UINT16: values => Uint16Array.from(values),
  UINT32: values => Uint32Array.from(values),
  UINT64: values => BigUint64Array.from(values.map(BigInt)),
  INT8: values => Int8Array.from(values),
  INT16: values => Int16Array.from(values),
  INT32: values => Int32Array.from(values),
  INT64: values => BigInt64Array.from(values.map(BigInt)),
  FP32: values => Float32Array.from(values),
  FP64: values => Float64Array.from(values),
}

describe('tensors', () => {
  it.each(Object.keys(WIDE))('%s: small whole numbers come out as they went in, both ways', name => {
    const type = datatypeOf('x', name)
    const least = name === 'BOOL' || name.startsWith('U') ? 0 : -127
    const most = name === 'BOOL' ? 1 : 127
    fc.assert(
      fc.property(fc.array(fc.integer({ min: least, max: most }), { minLength: 6, maxLength: 6 }), values => {
        const wanted = Float32Array.from(values)
        expect(tensorOfBytes('x', type, bytes(WIDE[name](values)), 6)).toEqual(wanted)
        const json = name === 'BOOL' ? values.map(value => value === 1) : values
        expect(tensorOfJson('x', type, json, [3, 2])).toEqual(wanted)
        const rows = [json.slice(0, 2), json.slice(2, 4), json.slice(4)]
        expect(tensorOfJson('x', type, rows, [3, 2])).toEqual(wanted)
      }),
      { numRuns: 30, seed: 3 },
    )
  })

  it('FP32 goes out and comes back bit by bit; as JSON all but what is not finite', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1, maxLength: 20 }), values => {
        expect(tensorOfBytes('x', 'FP32', bytesOfTensor(values), values.length)).toEqual(values)
        const json = JSON.parse(JSON.stringify(jsonOfTensor(values)))
        const back = tensorOfJson('x', 'FP32', json, [values.length, 1])
        for (const [i, value] of values.entries())
          expect(back[i] === value || (!Number.isFinite(value) && Number.isNaN(back[i]))).toBe(true)
      }),
      { numRuns: 100, seed: 3 },
    )
  })

  it('half precision, both kinds, is read as its bits say', () => {
    const half = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0x3555]
    const [one, minusTwo, largest, smallest, zero, infinity, third] = tensorOfBytes(
      'x',
      'FP16',
      bytes(Uint16Array.from(half)),
      half.length,
    )
    expect([one, minusTwo, largest, smallest, infinity]).toEqual([1, -2, 65_504, 2 ** -24, Infinity])
    expect(Object.is(zero, -0)).toBe(true)
    expect(third).toBeCloseTo(1 / 3, 3)
    expect([...tensorOfBytes('x', 'BF16', bytes(Uint16Array.of(0x3f80, 0xc040)), 2)]).toEqual([1, -3])
  })

  it.each([
    ['FP64', [0.1], /no FP32 without loss/],
    ['INT32', [16_777_217], /no FP32 without loss/],
    ['INT64', [2 ** 53 + 2], /INT64/],
    ['UINT8', [256], /is no UINT8/],
    ['INT8', [1.5], /is no INT8/],
    ['UINT32', [-1], /is no UINT32/],
    ['INT32', [null], /is no INT32/],
    ['BOOL', [1], /is no BOOL/],
    ['FP32', ['1'], /is no FP32/],
    ['FP32', [[1, 2]], /no array of 1/],
    ['FP32', [1, 2], /1 elements wanted/],
    ['FP32', 7, /no array/],
  ] as const)('JSON %s %j is refused', (type, data, reason) => {
    expect(() => tensorOfJson('x', type, data, [1, 1])).toThrow(reason)
  })

  it('bytes that lose something, or are too few, are refused', () => {
    expect(() => tensorOfBytes('x', 'FP64', bytes(Float64Array.of(0.1)), 1)).toThrow(/without loss/)
    expect(() => tensorOfBytes('x', 'INT64', bytes(BigInt64Array.of(2n ** 53n + 1n)), 1)).toThrow(
      /without loss/,
    )
    expect(() => tensorOfBytes('x', 'UINT32', bytes(Uint32Array.of(4_294_967_295)), 1)).toThrow(
      /without loss/,
    )
    expect(() => tensorOfBytes('x', 'FP32', new Uint8Array(7), 2)).toThrow(/8 bytes, not 7/)
    expect(tensorOfBytes('x', 'FP64', bytes(Float64Array.of(Number.NaN, -Infinity)), 2)[1]).toBe(-Infinity)
    for (const type of ['BYTES', 'fp32', 'toString', 4])
      expect(() => datatypeOf('x', type)).toThrow(/none of/)
  })
})
