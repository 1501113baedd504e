// Shows that columns of window reports come back to the bit, whichever way they are written and whichever rows are told of,
// that they take no more room than as they lie, nor more than half where most values are one, and that what damaged
// messages say is refused.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteCursor } from '../../src/bus/byte-cursor.ts'
import { readBytes, readDoubles, readSingles } from '../../src/bus/window-report-column-reader.ts'
import {
  type ToldRows,
  writeBytes,
  writeDoubles,
  writeSingles,
} from '../../src/bus/window-report-column-writer.ts'
import { columnScratch } from '../../src/bus/window-report-columns.ts'
import { ByteWriter } from '../../src/core/byte-writer.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const ROWS = 3000
const scratch = columnScratch(ROWS)

/** A NaN that an engine may have made: with a sign and a payload. */
const ODD_NAN = new Float64Array(new Uint32Array([0x1234, 0xfff01000]).buffer)[0]
const odd = [Number.NaN, ODD_NAN, 0, -0, Number.POSITIVE_INFINITY, Number.MIN_VALUE, 1e300, -1]

/** Values of which a share is one of `odd`, and the others each their own; `isSingle`: all exact in 32 bits. */
const columnArb = fc.record({
  rows: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: ROWS })),
  seed: fc.integer(),
  share: fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true })),
  usual: fc.constantFrom(...odd),
  isSingle: fc.boolean(),
  /** Of all rows, those that are told of. */
  told: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
})

interface Drawn {
  readonly values: Float64Array
  readonly rows: ToldRows
}

type Drawing = typeof columnArb extends fc.Arbitrary<infer T> ? T : never

function drawn({ rows, seed, share, usual, isSingle, told }: Drawing): Drawn {
  const random = mulberry32(seed)
  const values = Float64Array.from({ length: rows }, () => {
    if (random() < share) return usual
    const value = random() < 0.1 ? odd[Math.floor(random() * odd.length)] : random()
    return isSingle ? Math.fround(value) : value
  })
  const order = Uint32Array.from(values.keys()).filter(() => told === 1 || random() < told)
  const from = Math.floor(random() * 3) % (order.length + 1)
  return { values, rows: { order, from, to: order.length } }
}

const toldOf = <T extends Float64Array | Float32Array | Int8Array>(
  column: T,
  { order, from, to }: ToldRows,
) => Array.from(order.subarray(from, to), row => column[row])

function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(1)
  write(out)
  return out.take()
}

function limit(values: readonly number[], width: number): number {
  const counts = new Map<number, number>()
  // Told apart as they are written: −0 is not 0.
  for (const value of values) {
    const id = Object.is(value, -0) ? Number.MAX_VALUE : value
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const most = Math.max(0, ...counts.values())
  const raw = values.length * width
  const sparse = width + Math.ceil(values.length / 8) + (values.length - most) * width
  // Which value is the most frequent is looked for among some of many rows: it is not missed where nearly all have it.
  const isPlain = values.length <= 1024 ? 2 * most > values.length : 10 * most > 9 * values.length
  return 2 + (isPlain ? Math.min(raw, sparse) : raw)
}

describe('columns of a window report', () => {
  it('come back to the bit, in no more bytes than they take', () => {
    fc.assert(
      fc.property(columnArb, drawing => {
        const { values, rows } = drawn(drawing)
        const length = rows.to - rows.from
        const singles = Float32Array.from(values)
        const bytes = Int8Array.from(values, value => (Number.isFinite(value) ? value * 100 : 7))
        const said = [
          written(out => writeDoubles(out, values, rows, scratch)),
          written(out => writeSingles(out, singles, rows, scratch)),
          written(out => writeBytes(out, bytes, rows, scratch)),
        ]
        const cursors = said.map(one => new ByteCursor(one))
        const read = [new Float64Array(ROWS), new Float32Array(ROWS), new Int8Array(ROWS)] as const
        readDoubles(cursors[0], read[0], length, scratch)
        readSingles(cursors[1], read[1], length)
        readBytes(cursors[2], read[2], length)
        for (const [i, column] of [values, singles, bytes].entries()) {
          const told = toldOf(column, rows)
          expect(Array.from(read[i].subarray(0, length))).toEqual(told)
          expect([cursors[i].left, cursors[i].broken]).toEqual([0, false])
          expect(said[i].length).toBeLessThanOrEqual(limit(told, column.BYTES_PER_ELEMENT))
        }
        const words = new Uint32Array(read[0].buffer)
        for (let i = 0; i < length; i++)
          if (Number.isNaN(read[0][i])) expect([words[2 * i], words[2 * i + 1]]).toEqual([0, 0x7ff80000])
      }),
      { numRuns: 300 },
    )
  })

  it('are broken where they end too early, and never throw', () => {
    fc.assert(
      fc.property(columnArb, fc.nat(), fc.nat({ max: 255 }), (drawing, at, byte) => {
        const { values, rows } = drawn({ ...drawing, rows: 1 + (drawing.rows % 100), told: 1 })
        const length = rows.to - rows.from
        fc.pre(length > 0)
        const bytes = written(out => writeDoubles(out, values, rows, scratch))
        const short = new ByteCursor(bytes.subarray(0, at % bytes.length))
        readDoubles(short, new Float64Array(ROWS), length, scratch)
        expect(short.broken).toBe(true)
        const damaged = bytes.slice()
        damaged[at % bytes.length] ^= byte
        readDoubles(new ByteCursor(damaged), new Float64Array(ROWS), length, scratch)
      }),
      { numRuns: 300 },
    )
  })
})
