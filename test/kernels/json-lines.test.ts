// The numbers of the JSON kernel are those of JSON.parse, to the bit, and it takes none for a number that JSON does not: over texts of
// random floats in all spellings, of random digits and powers, at the borders of what a float64 holds, and of noise.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonLinesKernel } from '../../src/kernels/json-lines.ts'
import { jsonNumber } from '../../src/math/json-number.ts'
import { powersOfTen } from '../../src/math/powers-of-ten.ts'

const kernel = new JsonLinesKernel(powersOfTen())

function same(text: string): void {
  const said = kernel.number(text)
  const plain = jsonNumber(text)
  if (plain === undefined) expect(Number.isNaN(said), text).toBe(true)
  else if (!Object.is(said, plain)) expect.fail(`${text}: ${said}, not ${plain}`)
}

const digits = (max: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: max })

describe('numbers of the JSON kernel', () => {
  it('are the twin’s, and JSON’s', () => {
    const texts = [
      '0',
      '-0',
      '0.0',
      '-0.0e5',
      '1',
      '1e400',
      '-1e400',
      '1e-400',
      '5e-324',
      '2.4703282292062327e-324',
    ]
    texts.push(
      '2.2250738585072014e-308',
      '2.2250738585072011e-308',
      '1.7976931348623157e308',
      '1.7976931348623159e308',
    )
    texts.push(
      '9007199254740993',
      '9007199254740992.5',
      '123456789012345678901234567890',
      '0.1',
      '1E+2',
      '1e22',
      '1e23',
    )
    texts.push(
      `0.${'0'.repeat(400)}1`,
      `1${'0'.repeat(300)}`,
      `0.${'9'.repeat(40)}`,
      `${'9'.repeat(19)}e-19`,
      '1e99999999999',
    )
    for (const text of texts) {
      same(text)
      expect(kernel.number(text)).toBe(JSON.parse(text))
    }
    for (const text of [
      '',
      '-',
      '+1',
      '01',
      '-01',
      '.5',
      '1.',
      '1.e3',
      '1e',
      '1e+',
      '0x10',
      'NaN',
      'Infinity',
      '1 ',
      '--1',
      '1_0',
    ])
      same(text)
  })

  it('are right for random floats in the spellings of programs', () => {
    const spellings = fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .chain(x =>
        fc.constantFrom(
          JSON.stringify(x),
          x.toExponential(),
          x.toPrecision(17),
          x.toPrecision(19),
          x.toExponential(15).toUpperCase(),
          Math.abs(x) < 1e21 ? x.toFixed(3) : String(x),
        ),
      )
    fc.assert(fc.property(spellings, same), { numRuns: 20_000 })
  })

  it('are right for random digits, points and powers, and for what lies half way between two floats', () => {
    const any = fc
      .tuple(
        fc.constantFrom('', '-'),
        digits(30),
        fc.option(digits(30)),
        fc.option(fc.integer({ min: -360, max: 360 })),
      )
      .map(
        ([sign, whole, part, power]) =>
          `${sign}${whole}${part === null ? '' : `.${part}`}${power === null ? '' : `e${power}`}`,
      )
    fc.assert(fc.property(any, same), { numRuns: 20_000 })
    const halves = fc
      .tuple(fc.bigInt({ min: 1n << 52n, max: (1n << 53n) - 1n }), fc.integer({ min: 0, max: 9 }))
      .map(([mantissa, shift]) => String(((mantissa << 1n) | 1n) << BigInt(shift)))
    fc.assert(fc.property(halves, same), { numRuns: 5000 })
  })

  it('are none where JSON has none', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'0019.eE+- x') }), same), { numRuns: 5000 })
  })
})
