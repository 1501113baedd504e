// Texts of wires: whatever is set, deleted, kept and gathered, each wire has the text that a map says; a cut that is opened in
// between holds what they were at that moment, also when all of them move to other memory before it is written; and when
// most are gone, so is their memory, before a restart and after it.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cut, type CutColumn, settled } from '../../src/core/cut.ts'
import type { ColumnData } from '../../src/core/snapshot.ts'
import { WireTexts } from '../../src/ingest/wire-texts.ts'

const MIB = 1_048_576
/** Texts that fill about six chunks of a mebibyte. */
const MANY = 12_000
const textOf = (wire: number) => `up{pod="p${wire}",zone="${'a long name '.repeat(40)}${wire % 7}"}`

function filled(): WireTexts {
  const texts = new WireTexts()
  for (let wire = 0; wire < MANY; wire++) texts.set(wire, textOf(wire))
  texts.keep()
  return texts
}

/** Opens a cut; what is returned writes it whole and reads it into another one. */
function opened(texts: WireTexts, length: number): () => WireTexts {
  const cut = new Cut()
  const columns: Record<string, ColumnData | CutColumn> = {}
  const saved = texts.cut(cut, length, columns)
  return () => {
    const [part] = settled([{ id: 'texts', version: 1, keys: [], columns, meta: null }], cut)
    const again = new WireTexts()
    again.restore(part.columns, length, saved, false)
    return again
  }
}

type Step =
  | { readonly kind: 'set' | 'delete'; readonly wire: number; readonly text: string }
  | { readonly kind: 'range'; readonly from: number; readonly to: number; readonly isSet: boolean }
  | { readonly kind: 'cut' }

const wire = fc.nat(MANY - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('set' as const, 'delete' as const), wire, text: fc.string() }),
  fc.record({ kind: fc.constant('range' as const), from: wire, to: wire, isSet: fc.boolean() }),
  fc.record({ kind: fc.constant('cut' as const) }),
)

describe('texts of wires', () => {
  it('are what was set last, in a cut as they were when it was opened', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 3, maxLength: 12 }), steps => {
        const texts = filled()
        const model = new Map(Array.from({ length: MANY }, (_, wire) => [wire, textOf(wire)]))
        const cuts: (() => void)[] = []
        const same = (found: WireTexts, expected: ReadonlyMap<number, string>) => {
          for (let wire = 0; wire < MANY; wire += 37) expect(found.of(wire)).toBe(expected.get(wire))
        }
        const apply = (wire: number, text: string | undefined) => {
          if (text === undefined) {
            texts.delete(wire)
            model.delete(wire)
          } else {
            texts.set(wire, text)
            model.set(wire, text)
          }
        }
        for (const one of steps) {
          if (one.kind === 'set') apply(one.wire, one.text)
          else if (one.kind === 'delete') apply(one.wire, undefined)
          else if (one.kind === 'range') {
            for (let at = one.from; at <= one.to; at++) apply(at, one.isSet ? `again ${at}` : undefined)
          } else {
            const then = new Map(model)
            const whole = opened(texts, MANY)
            cuts.push(() => same(whole(), then))
          }
        }
        same(texts, model)
        for (const check of cuts) check()
      }),
      { numRuns: 20 },
    )
  })

  it('give their memory back when most are gone, and a cut that is open keeps what it had', () => {
    const texts = filled()
    expect(texts.bytes()).toBeGreaterThan(5 * MIB)
    const whole = opened(texts, MANY)
    for (let wire = 0; wire < MANY; wire++) if (wire % 100 !== 0) texts.delete(wire)
    expect(texts.bytes()).toBeLessThan(1.5 * MIB)
    expect(texts.of(500)).toBe(textOf(500))
    expect(texts.of(501)).toBeUndefined()
    const before = whole()
    for (let wire = 0; wire < MANY; wire += 37) expect(before.of(wire)).toBe(textOf(wire))
    const after = opened(texts, MANY)()
    expect(after.bytes()).toBeLessThan(1.5 * MIB)
    expect(after.of(500)).toBe(textOf(500))
  })

  it('are counted on after a restart, so that memory is given back then too', () => {
    const texts = opened(filled(), MANY)()
    for (let wire = 0; wire < MANY; wire++) if (wire % 100 !== 0) texts.delete(wire)
    expect(texts.bytes()).toBeLessThan(1.5 * MIB)
    expect(texts.of(500)).toBe(textOf(500))
  })
})
