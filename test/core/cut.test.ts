// A cut of columns gives what they held when it was opened, byte for byte, whatever is written to them behind it and
// however the pieces are asked for: random stores of small chunks, writes to rows, moves, clears, growth and shrinking
// between random numbers of pieces. What waits is bounded: beyond that the cut is given up and its owners copy nothing more.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ColumnStore, type RowTable } from '../../src/core/columns.ts'
import { Cut, CutColumn, settled } from '../../src/core/cut.ts'
import type { ColumnData } from '../../src/core/snapshot.ts'

const SPEC = { level: 'f64', hist: ['u16', 3], flag: 'u8' } as const
const SHIFT = 3

function table(rows: number, order?: Uint32Array): RowTable {
  return {
    capacity: rows,
    keys: () => Array.from({ length: rows }, (_, row) => `s${row}`),
    row: key => Number(key.slice(1)),
    ...(order
      ? { seriesRows: () => order.slice(0, rows), rowOfSeries: (series: number) => order.indexOf(series) }
      : {}),
  }
}

function filled(rows: number): ColumnStore<typeof SPEC> {
  const store = new ColumnStore(SPEC, SHIFT)
  store.ensure(rows)
  for (let row = 0; row < rows; row++) write(store, row, row + 1)
  return store
}

function write(store: ColumnStore<typeof SPEC>, row: number, value: number): void {
  const chunk = store.writable(row >> SHIFT)
  const at = row & store.mask
  chunk.level[at] = value
  chunk.hist.fill(value, at * 3, at * 3 + 3)
  chunk.flag[at] = value
}

type Step =
  | { kind: 'write'; row: number; value: number }
  | { kind: 'copy'; row: number; to: number }
  | { kind: 'clear'; row: number }
  | { kind: 'grow'; by: number }
  | { kind: 'shrink'; rows: number }
  | { kind: 'touch'; rows: number[] }
  | { kind: 'next'; bytes: number }

const row = fc.nat(39)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), row, value: fc.integer({ min: 50, max: 200 }) }),
  fc.record({ kind: fc.constant('copy' as const), row, to: row }),
  fc.record({ kind: fc.constant('clear' as const), row }),
  fc.record({ kind: fc.constant('grow' as const), by: fc.nat(30) }),
  fc.record({ kind: fc.constant('shrink' as const), rows: fc.nat(40) }),
  fc.record({ kind: fc.constant('touch' as const), rows: fc.array(row) }),
  fc.record({ kind: fc.constant('next' as const), bytes: fc.integer({ min: 8, max: 300 }) }),
)

function apply(store: ColumnStore<typeof SPEC>, step: Step): void {
  const has = (row: number) => row < store.rows
  if (step.kind === 'write' && has(step.row)) write(store, step.row, step.value)
  if (step.kind === 'copy' && has(step.row) && has(step.to)) store.copy(step.row, step.to)
  if (step.kind === 'clear') store.clear(step.row)
  if (step.kind === 'grow') store.ensure(store.rows + step.by)
  if (step.kind === 'shrink') store.shrink(step.rows)
  if (step.kind === 'touch') store.touchRows(Uint32Array.from(step.rows), step.rows.length)
}

/** Puts pieces where they belong, as a store does. */
class Taker {
  readonly made = new Map<CutColumn, ColumnData>()

  take(cut: Cut, bytes: number): boolean {
    const piece = cut.next(bytes)
    if (!piece) return false
    const column = this.made.get(piece.column) ?? new piece.column.make(piece.column.length)
    this.made.set(piece.column, column)
    new Uint8Array(column.buffer).set(piece.bytes, piece.at)
    return true
  }

  columns(of: Readonly<Record<string, ColumnData | CutColumn>>): Record<string, ColumnData> {
    return Object.fromEntries(
      Object.entries(of).map(([name, column]) => [
        name,
        column instanceof CutColumn ? (this.made.get(column) ?? new column.make(column.length)) : column,
      ]),
    )
  }
}

describe('a cut of columns', () => {
  it('gives what was there when it was opened', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 60 }), (rows, steps) => {
        const store = filled(rows)
        const { columns: expected } = store.snapshot('x', 1, table(rows))
        const cut = new Cut()
        const made = store.cut(cut, 'x', 1, table(rows))
        const taker = new Taker()
        for (const one of steps) {
          if (one.kind === 'next') taker.take(cut, one.bytes)
          else apply(store, one)
        }
        while (taker.take(cut, 64));
        expect(taker.columns(made.columns)).toEqual(expected)
        expect(cut.heldBytes).toBe(0)
        cut.close()
      }),
      { numRuns: 300 },
    )
  })

  it('asks nothing more of rows that were written to the last byte and are gone', () => {
    const store = filled(1)
    const cut = new Cut()
    const taker = new Taker()
    const { columns: expected } = store.snapshot('x', 1, table(1))
    const made = store.cut(cut, 'x', 1, table(1))
    for (const _ of Object.keys(SPEC)) expect(taker.take(cut, 8)).toBe(true)
    store.shrink(0)
    expect(taker.take(cut, 8)).toBe(false)
    expect(taker.columns(made.columns)).toEqual(expected)
  })

  it('is not disturbed by the next one, which is whole too', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.array(step, { maxLength: 30 }), (before, after) => {
        const store = filled(30)
        const first = { cut: new Cut(), expected: store.snapshot('x', 1, table(30)).columns }
        const firstMade = store.cut(first.cut, 'x', 1, table(30))
        for (const one of before) apply(store, one)
        const rows = Math.min(30, store.rows)
        const expected = store.snapshot('x', 1, table(rows)).columns
        const cut = new Cut()
        const made = store.cut(cut, 'x', 1, table(rows))
        for (const one of after) apply(store, one)
        expect(settled([made], cut)[0].columns).toEqual(expected)
        expect(settled([firstMade], first.cut)[0].columns).toEqual(first.expected)
      }),
    )
  })

  it('comes back into the rows that series have now, whether the table is whole or a view', () => {
    const order = Uint32Array.from({ length: 20 }, (_, at) => 3 * (19 - at))
    const store = filled(20)
    const cut = new Cut()
    const [whole] = settled([store.cut(cut, 'x', 1, table(20, order))], cut)
    const turned = order.slice().reverse()
    const next = new ColumnStore(SPEC, SHIFT)
    next.restore(whole, 'x', 1, table(20, turned))
    for (let row = 0; row < 20; row++) {
      expect(next.chunks[row >> SHIFT].level[row & next.mask]).toBe(20 - row)
      expect(next.chunks[row >> SHIFT].hist[(row & next.mask) * 3 + 2]).toBe(20 - row)
    }
  })

  it('is kept as it lies by whoever is given it, and copied by others', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.uniqueArray(fc.nat(39), { maxLength: 3 }),
        fc.array(step, { maxLength: 20 }),
        fc.array(step, { maxLength: 20 }),
        (rows, gone, before, after) => {
          const saved = filled(rows).snapshot('x', 1, table(rows))
          const copy = structuredClone(saved)
          const tableNow = {
            ...table(rows),
            row: (key: string) => (gone.includes(Number(key.slice(1))) ? -1 : Number(key.slice(1))),
          }
          const given = new ColumnStore(SPEC, SHIFT)
          const copied = new ColumnStore(SPEC, SHIFT)
          copied.restore(saved, 'x', 1, tableNow)
          given.restore({ ...copy, isGiven: true }, 'x', 1, tableNow)
          const isKept = rows >= 2 ** SHIFT && !gone.some(row => row < 2 ** SHIFT)
          if (isKept) expect(given.chunks[0].level.buffer).toBe(copy.columns.level.buffer)
          for (const one of before) for (const store of [given, copied]) apply(store, one)
          const all = Math.min(given.rows, copied.rows)
          const cut = new Cut()
          const made = given.cut(cut, 'x', 1, table(all))
          const expected = copied.snapshot('x', 1, table(all)).columns
          for (const one of after) for (const store of [given, copied]) apply(store, one)
          expect(settled([made], cut)[0].columns).toEqual(expected)
          expect(given.snapshot('x', 1, table(all))).toEqual(copied.snapshot('x', 1, table(all)))
          // Nobody but the one that was given the columns writes to them.
          expect(saved).toEqual(filled(rows).snapshot('x', 1, table(rows)))
        },
      ),
    )
  })

  it('is given up when more waits than may, and costs nothing from then on', async () => {
    const store = filled(64)
    const cut = new Cut(2 * store.rowBytes * 8)
    store.cut(cut, 'x', 1, table(64))
    write(store, 0, 7)
    expect(cut.room()).toBeUndefined()
    write(store, 8, 7)
    const room = cut.room()
    expect(room).toBeInstanceOf(Promise)
    expect(cut.copiedBytes).toBe(2 * 8 * store.rowBytes)
    write(store, 16, 7)
    expect(cut.isOpen).toBe(false)
    await room
    const copied = cut.copiedBytes
    write(store, 24, 7)
    expect(cut.copiedBytes).toBe(copied)
    expect(() => cut.next(64)).toThrow(expect.objectContaining({ code: 'FS_OVERLOADED' }))
  })

  it('lets whoever waits for room go on when half of it is written', async () => {
    const store = filled(64)
    const cut = new Cut(4 * store.rowBytes * 8)
    store.cut(cut, 'x', 1, table(64))
    for (const row of [0, 8, 16]) write(store, row, 7)
    let went = false
    const room = cut.room()?.then(() => {
      went = true
    })
    await Promise.resolve()
    expect(went).toBe(false)
    while (cut.room()) cut.next(64)
    await room
    expect(went).toBe(true)
  })
})
