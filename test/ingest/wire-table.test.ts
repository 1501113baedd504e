// Shows that the wire table knows what a plain map knows, over any adding, finding, removing and feeding of rows; that wires which
// share 64 bits of identity, or all but the check, stay apart; that it grows past a segment of slots; what a wire costs.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cut, type CutColumn, settled } from '../../src/core/cut.ts'
import type { ColumnData } from '../../src/core/snapshot.ts'
import { PLAN } from '../../src/ingest/wire-records.ts'
import { ROW_REFUSED, WireTable } from '../../src/ingest/wire-table.ts'
import { SLOTS } from '../../src/kernels/assembly/_wire-layout.ts'
import { mix32 } from '../../src/math/hash.ts'

type Identity = readonly [a: number, b: number, check: number]

/** What a table saves, in an empty one. */
function restored(table: WireTable, again: WireTable): WireTable {
  const cut = new Cut()
  const columns: Record<string, ColumnData | CutColumn> = {}
  const texts = table.cut(cut, columns)
  const [saved] = settled([{ id: 'wires', version: 1, keys: [], columns, meta: null }], cut)
  const { wires, sides } = saved.columns
  expect(again.restore(table.state(), wires as Int32Array, sides as Int32Array)).toBe(true)
  again.restoreTexts(saved.columns, texts)
  expect(again.restoreRows(() => true)).toEqual([])
  return again
}

/** Few different words, so that identities share some of them often. */
const word = fc.constantFrom(0, 1, -1, 0x4000_0000, -0x4000_0000)
const step = fc.record({
  what: fc.constantFrom('add', 'add', 'find', 'remove', 'output', 'attach', 'detach', 'group', 'cur'),
  a: word,
  b: word,
  check: fc.constantFrom(0, 1, 0x8000_0001),
  pick: fc.nat(),
  row: fc.nat(5),
})

interface Known {
  identity: Identity | undefined
  text: string
  row: number
  group: number
  cur: number
}

describe('the wire table', () => {
  it('is a map of identities to wires with what hangs on them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const table = new WireTable(30, (_, row) => `row${row}`)
        const model = new Map<number, Known>()
        const of = ([a, b, check]: Identity) =>
          [...model].find(([, { identity: i }]) => i?.[0] === a && i[1] === b && i[2] === check)?.[0] ?? -1
        for (const [i, { what, a, b, check, pick, row }] of steps.entries()) {
          const held = [...model.keys()]
          const wire = held[pick % Math.max(1, held.length)]
          const known = model.get(wire)
          if (what === 'add' || what === 'output') {
            if (what === 'add' && of([a, b, check]) >= 0) continue
            const text = i % 2 === 0 ? `row${row}` : `text${i}`
            const made = what === 'add' ? table.add(a, b, check, text) : table.addOutput(text)
            expect(made >= 0).toBe(model.size < 30)
            if (made < 0) continue
            if (what === 'add') table.setPlan(made, PLAN.gauge)
            const identity = what === 'add' ? ([a, b, check] as const) : undefined
            model.set(made, { identity, text, row: -1, group: -1, cur: 0 })
          } else if (what === 'find') expect(table.find(a, b, check)).toBe(of([a, b, check]))
          else if (known === undefined) continue
          else if (what === 'remove') {
            table.remove(wire)
            model.delete(wire)
          } else if (what === 'attach' && known.row < 0) {
            table.attach(wire, row)
            known.row = row
          } else if (what === 'detach') {
            table.detach(wire)
            known.row = -1
          } else if (what === 'group') {
            table.setGroup(wire, pick % 9, pick)
            known.group = pick % 9
          } else if (what === 'cur') {
            table.setCur(wire, pick, 1)
            known.cur = pick
          }
        }
        expect(table.size).toBe(model.size)
        for (const [wire, { identity, text, row, group, cur }] of model) {
          expect([table.text(wire), table.row(wire), table.group(wire), table.cur(wire)]).toEqual([
            text,
            row,
            group,
            cur,
          ])
          if (identity) expect(table.find(...identity)).toBe(wire)
        }
        for (let row = 0; row <= 5; row++) {
          const fed: number[] = []
          for (let wire = table.head(row); wire >= 0; wire = table.next(wire)) fed.push(wire)
          expect(fed.sort()).toEqual(
            [...model]
              .filter(([, one]) => one.row === row)
              .map(([w]) => w)
              .sort(),
          )
        }
        // What is saved and put back goes on alike.
        const again = restored(table, new WireTable(30, (_, row) => `row${row}`))
        expect(again.size).toBe(table.size)
        for (const [wire, { identity, text }] of model) {
          expect(again.text(wire)).toBe(text)
          if (identity) expect(again.find(...identity)).toBe(wire)
        }
        for (let row = 0; row <= 5; row++) expect(again.head(row)).toBe(table.head(row))
        expect(again.addOutput('x')).toBe(table.addOutput('x'))
      }),
      { numRuns: 300 },
    )
  })

  it('keeps wires apart whose 64 bits are the same', () => {
    const table = new WireTable(100)
    const first = table.add(7, 8, 1, 'one')
    table.setPlan(first, PLAN.gauge)
    expect(table.find(7, 8, 2)).toBe(-1)
    const second = table.add(7, 8, 2, 'two')
    table.setPlan(second, PLAN.gauge)
    const whole = table.add(7, 8, 1 + 0x8000_0000, 'histogram')
    for (const [check, wire] of [
      [1, first],
      [2, second],
      [1 + 0x8000_0000, whole],
      [1, first],
    ])
      expect(table.find(7, 8, check)).toBe(wire)
    table.remove(first)
    expect(table.find(7, 8, 1)).toBe(-1)
    expect(table.find(7, 8, 2)).toBe(second)
  })

  it('finds all of many, after segments were split and some were removed, and after a restart', () => {
    const table = new WireTable(1e6)
    const count = 5 * SLOTS
    const identity = (i: number): Identity => [mix32(i), mix32(i ^ 0x55), mix32(i + 7) & 0x7fff_ffff]
    for (let i = 0; i < count; i++) table.setPlan(table.add(...identity(i), 'm'), PLAN.gauge)
    for (let i = 0; i < count; i += 3) table.remove(i)
    const again = restored(table, new WireTable(1e6))
    for (const one of [table, again]) {
      let wrong = 0
      for (let i = 0; i < count; i++) if (one.find(...identity(i)) !== (i % 3 === 0 ? -1 : i)) wrong++
      expect(wrong).toBe(0)
    }
    for (let i = count; i < 2 * count; i++) again.setPlan(again.add(...identity(i), 'm'), PLAN.gauge)
    let missing = 0
    for (let i = 1; i < 2 * count; i++) if (i % 3 > 0 && again.find(...identity(i)) < 0) missing++
    expect(missing).toBe(0)
  })

  it('refuses what has no room: beyond the limit, or more of one hash than segments can part', () => {
    const table = new WireTable(1e6)
    let held = 0
    while (held < 2 * SLOTS && table.add(5, held, held, '') >= 0) held++
    expect(held).toBe(Math.floor(SLOTS * 0.8))
    // Others are not concerned.
    expect(table.add(-5, 1, 1, '')).toBe(held)
  })

  it('costs at most 65 bytes a wire that feeds a row, and no text', () => {
    const count = 200_000
    const table = new WireTable(1e6, (_, row) => `series ${row}`)
    for (let i = 0; i < count; i++) {
      const wire = table.add(mix32(i), mix32(i ^ 0x77), i, `series ${i}`)
      table.setPlan(wire, PLAN.gauge)
      table.attach(wire, i)
    }
    expect(table.text(77)).toBe('series 77')
    expect(table.bytes() / count).toBeLessThan(65)
    table.refuseRow(3)
    expect(table.row(3)).toBe(ROW_REFUSED)
  })
})
