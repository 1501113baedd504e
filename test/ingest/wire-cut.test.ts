// Shows that a cut of an intake holds what a copy of it at that moment holds, to the byte, while bodies go on to be read by
// the kernel and by the plain readers, wires come and go, and the cut is written in pieces of any size between them; that
// nothing is read otherwise for it; and that only chunks of wires are copied that a body touched before they were written.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cut, CutColumn, type CutSnapshot } from '../../src/core/cut.ts'
import type { ColumnData } from '../../src/core/snapshot.ts'
import { WIRE_MASK, WIRE_WORDS } from '../../src/kernels/assembly/_wire-layout.ts'
import { Bench, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000
/** A whole chunk of wires and a part of another one. */
const WIRES = WIRE_MASK + 501
const CHUNK_BYTES = (WIRE_MASK + 1) * WIRE_WORDS * 4

/** Counters, gauges and buckets `from` to `to` at a moment. */
function body(from: number, to: number, moment: number): Uint8Array {
  const timeseries = []
  for (let i = from; i < to; i++) {
    const pod = `p${i}`
    const labels =
      i % 3 === 0
        ? labelList('hits_total', { pod })
        : i % 3 === 1
          ? labelList('temp', { pod })
          : labelList('lat_bucket', { pod: `p${i % 30}`, le: String(1 + Math.floor(i / 30)) })
    timeseries.push({ labels, samples: [{ timestamp: T + moment * 1000, value: moment * (1 + (i % 7)) }] })
  }
  return remoteWrite1({ timeseries })
}

const FILLING = [1, 2].map(moment => body(0, WIRES, moment))

function textOf(part: Omit<CutSnapshot, 'columns'>, columns: Readonly<Record<string, ColumnData>>): string {
  const { id, version, meta } = part
  const bytes = Object.entries(columns).map(([name, column]) => [
    name,
    column.constructor.name,
    Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString('base64'),
  ])
  return JSON.stringify({ id, version, meta, bytes })
}

const snapshotOf = ({ intake }: Bench) => intake.snapshot().map(part => textOf(part, part.columns))[0]

/** A cut that is written a piece at a time, and a copy of the moment when it was opened. */
class Written {
  readonly expected: string
  readonly cut = new Cut()
  readonly #part: CutSnapshot
  readonly #made = new Map<CutColumn, ColumnData>()

  constructor(bench: Bench) {
    this.expected = snapshotOf(bench)
    this.#part = bench.intake.cut(this.cut)[0]
  }

  next(bytesMax: number): boolean {
    const piece = this.cut.next(bytesMax)
    if (!piece) return false
    new Uint8Array(this.#columnOf(piece.column).buffer).set(piece.bytes, piece.at)
    return true
  }

  #columnOf(column: CutColumn): ColumnData {
    const made = this.#made.get(column) ?? new column.make(column.length)
    this.#made.set(column, made)
    return made
  }

  whole(): string {
    while (this.next(1_000_000)) {
      // Written to its end.
    }
    this.cut.close()
    const columns = Object.entries(this.#part.columns).map(([name, column]) => [
      name,
      column instanceof CutColumn ? this.#columnOf(column) : column,
    ])
    return textOf(this.#part, Object.fromEntries(columns))
  }
}

const step = fc.record({
  what: fc.constantFrom('body', 'body', 'lines', 'evict', 'newcomer', 'next'),
  at: fc.nat(WIRES - 1),
  length: fc.integer({ min: 1, max: 60 }),
})
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function apply(bench: Bench, { what, at, length }: Step, moment: number): void {
  const row = at % bench.series.capacity
  if (what === 'body') bench.send('remote-write-1', body(at, Math.min(WIRES, at + length), moment))
  if (what === 'newcomer') bench.send('remote-write-1', body(WIRES + at, WIRES + at + length, moment))
  if (what === 'lines')
    bench.lines({ time: T + moment * 1000, metric: 'temp', labels: { pod: `p${at}` }, value: moment })
  if (what === 'evict' && bench.series.has(row)) {
    bench.intake.forget(row)
    bench.series.evict(row)
  }
}

function filled(): Bench {
  const bench = new Bench({ wiresMax: 40_000 })
  for (const bytes of FILLING) bench.send('remote-write-1', bytes)
  return bench
}

describe('a cut of an intake', () => {
  it('is what a copy of that moment is, and disturbs nothing', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 3, maxLength: 25 }), fc.nat(2), (steps, later) => {
        const bench = filled()
        const plain = filled()
        // The second is opened while the first is being written.
        const opened: Written[] = []
        for (const [n, one] of steps.entries()) {
          if (n === 0 || n === 1 + later) opened.push(new Written(bench))
          if (one.what === 'next') for (const written of opened) written.next(one.length * 4000)
          for (const each of [bench, plain]) apply(each, one, 3 + n)
        }
        expect(bench.seen).toEqual(plain.seen)
        for (const written of opened) expect(written.whole() === written.expected).toBe(true)
        expect(snapshotOf(bench) === snapshotOf(plain)).toBe(true)
      }),
      { numRuns: 10 },
    )
  })

  it('copies the chunks of wires that a body writes to, and no more', () => {
    const bench = filled()
    const { cut } = new Written(bench)
    expect(cut.copiedBytes).toBe(0)
    bench.send('remote-write-1', body(0, 2, 3))
    expect(cut.copiedBytes).toBe(CHUNK_BYTES)
    bench.send('remote-write-1', body(0, 500, 4))
    // Buckets have sides, of which all lie in the first chunks.
    const sides = cut.copiedBytes - CHUNK_BYTES
    expect(sides % 32).toBe(0)
    expect(sides).toBeLessThan(CHUNK_BYTES)
    // Of the second chunk only what was in use.
    bench.send('remote-write-1', body(WIRES - 20, WIRES, 5))
    expect(cut.copiedBytes).toBeLessThan(2 * CHUNK_BYTES + sides)
    cut.close()
    // What is written or given up costs nothing more.
    bench.send('remote-write-1', body(0, WIRES, 6))
    expect(cut.heldBytes).toBe(0)
  })
})
