// The kernel `pasts` and its plain twin say the same of series' pasts, to the last bit: of any number of values from none to as many as it
// takes, of constant, repeated, huge, tiny and signed-zero values, with gaps, whichever way is bad, alone and beside another series.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PASTS_AT_ONCE, Pasts } from '../../src/disruptions/pasts.ts'
import { finiteOf, PAST_WIDTH, readPast } from '../../src/disruptions/usual.ts'
import { PASTS_BLOCK, PASTS_VALUES, PastsKernel } from '../../src/kernels/pasts.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const BADS = ['up', 'down', 'both'] as const
type Bad = (typeof BADS)[number]
interface Series {
  readonly values: readonly number[]
  readonly bad: Bad
}

/** What the twin says, NaN where it says nothing. */
function plain({ values, bad }: Series): number[] {
  const out = new Float64Array(PAST_WIDTH).fill(Number.NaN)
  const kept = new Float64Array(values.length)
  const known = finiteOf(Float64Array.from(values), values.length, kept, 0, 1)
  if (known > 0) readPast(kept, known, bad, new Float64Array(values.length), out, 0)
  return [...out]
}

function inBlock(pasts: Pasts, block: readonly Series[]): number[][] {
  const known = block.map(({ values, bad }, i) =>
    pasts.take(i, Float64Array.from(values), values.length, bad),
  )
  pasts.settle(block.length)
  return block.map((_, i) =>
    known[i] === 0
      ? new Array(PAST_WIDTH).fill(Number.NaN)
      : [...pasts.past.subarray(PAST_WIDTH * i, PAST_WIDTH * (i + 1))],
  )
}

const value = fc.oneof(
  fc.double({ noNaN: true, min: -1e30, max: 1e30 }),
  fc.double({ noNaN: true, min: -3, max: 3 }),
  fc.constantFrom(0, -0, 1, 1, 2, 5e-324, 1e-30, 3.4e38, Number.NaN),
)
const series = fc.record({
  values: fc.array(value, { maxLength: PASTS_VALUES, size: 'max' }),
  bad: fc.constantFrom(...BADS),
})

describe('the kernel of pasts', () => {
  const pasts = new Pasts(new PastsKernel())

  it('is what a ranking uses, and holds a block', () => {
    expect(PASTS_AT_ONCE).toBe(PASTS_BLOCK)
    expect(PAST_WIDTH * PASTS_BLOCK).toBe(new PastsKernel().past.length)
  })

  it('says what its twin says', () => {
    fc.assert(
      fc.property(fc.array(series, { minLength: 1, maxLength: 9 }), block => {
        const said = inBlock(pasts, block)
        for (const [i, one] of block.entries()) expect(said[i]).toEqual(plain(one))
      }),
      { numRuns: 1000 },
    )
  })

  it('does so of a full block, of every length and order, and of longer pasts, which the twin reads', () => {
    const random = mulberry32(7)
    const block = Array.from({ length: PASTS_BLOCK }, (_, i) => ({
      values: Array.from({ length: i % 80 }, (_, k) => (i % 3 === 0 ? k : i % 3 === 1 ? -k : random())),
      bad: BADS[i % 3],
    }))
    for (let turn = 0; turn < 3; turn++) {
      const said = inBlock(pasts, block)
      for (const [i, one] of block.entries()) expect(said[i]).toEqual(plain(one))
      block.reverse()
    }
  })

  it('says the same without WebAssembly', () => {
    const random = mulberry32(11)
    const block = Array.from({ length: PASTS_BLOCK }, (_, i) => ({
      values: Array.from({ length: 60 }, () => (random() < 0.1 ? Number.NaN : 10 * random() - 3)),
      bad: BADS[i % 3],
    }))
    expect(inBlock(new Pasts('plain'), block)).toEqual(inBlock(pasts, block))
  })
})
