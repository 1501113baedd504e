// Shows that samples lose nothing while they wait: whatever their series, times and order, and whatever rows are given
// back meanwhile, each series' samples of a window come out as they came in, as from a plain map of lists.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ColumnStore } from '../../src/core/columns.ts'
import { allSteps } from '../../src/core/steps.ts'
import { Forgotten } from '../../src/features/forgotten.ts'
import { PaneGroups } from '../../src/features/pane-groups.ts'
import { PANE_COLUMNS } from '../../src/features/panes.ts'
import { SampleLog } from '../../src/features/sample-log.ts'

const CAPACITY = 140_000
const T0 = 1_700_000_000_000

const series = fc.oneof(
  fc.integer({ min: 0, max: 5 }),
  fc.integer({ min: 65_530, max: 65_540 }),
  fc.constantFrom(131_071, 131_072, CAPACITY - 1),
)
/** Whole ms as a rule; now and then between two, or at odds with the window's start. */
const offsetMs = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 179_999 }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 179_999, noNaN: true }) },
)
const sample = fc.tuple(series, offsetMs, fc.oneof(fc.double({ noNaN: true }), fc.constant(Number.NaN)))
/** Samples, and between them rows that are given back. */
const event = fc.oneof(
  { weight: 9, arbitrary: sample.map(add => ({ add })) },
  { weight: 1, arbitrary: series.map(forget => ({ forget })) },
)
const long = fc.array(event, { maxLength: 400 })

type Held = [timeMs: number, value: number][]

describe('samples that wait', () => {
  for (const stepMs of [10_000, 90_000])
    it(`come out by window and series as they came in (windows of ${stepMs / 1000} s)`, () => {
      const panes = new ColumnStore(PANE_COLUMNS)
      panes.ensure(CAPACITY)
      fc.assert(
        fc.property(long, fc.boolean(), (events, isSorted) => {
          const log = new SampleLog(stepMs)
          const forgotten = new Forgotten(panes)
          const expected = new Map<number, Map<number, Held>>()
          const order = isSorted ? inOrder(events) : events
          for (const one of order) {
            if ('forget' in one) {
              forgotten.add(one.forget, log.round++)
              for (const lists of expected.values()) lists.delete(one.forget)
              continue
            }
            const [row, offset, value] = one.add
            log.add(row, T0 + offset, value)
            const start = Math.floor((T0 + offset) / stepMs) * stepMs
            const lists = expected.get(start) ?? new Map<number, Held>()
            expected.set(start, lists)
            lists.set(row, [...(lists.get(row) ?? []), [T0 + offset, value]])
          }
          forgotten.settle(log)

          const whole = [...expected].filter(([, lists]) => lists.size > 0).sort((a, b) => a[0] - b[0])
          const groups = new PaneGroups()
          const ready = log.take(Number.POSITIVE_INFINITY)
          expect(ready.map(window => window.startMs)).toEqual(whole.map(([start]) => start))
          expect(log.length).toBe(0)
          for (const [i, window] of ready.entries()) {
            allSteps(groups.begin(window, CAPACITY))
            expect(listsOf(groups, whole[i][1], false)).toEqual(whole[i][1])
            groups.begin(window, CAPACITY)
            groups.whole()
            expect(listsOf(groups, whole[i][1], true)).toEqual(whole[i][1])
            log.recycle(window)
          }
        }),
        { numRuns: 150 },
      )
    })

  it('takes what other windows took before, not more', () => {
    const log = new SampleLog(10_000)
    const sizes: number[] = []
    for (let w = 0; w < 20; w++) {
      for (let i = 0; i < 50_000; i++) log.add(i, T0 + w * 10_000 + (i % 9000), i)
      sizes.push(log.bytes() / 50_000)
      for (const window of log.take(T0 + w * 10_000)) log.recycle(window)
    }
    // Two windows of 14 bytes a sample, and what is idle at the end of the chunks.
    expect(sizes[19]).toBeLessThan(2 * 14 * 1.4)
    expect(sizes[19]).toBe(sizes[2])
  })
})

/** As a scrape in order of series would have come, with rows given back at the end. */
function inOrder<T extends object>(events: readonly T[]): T[] {
  const place = (one: object) =>
    'add' in one ? (one as { add: readonly [number] }).add[0] : Number.POSITIVE_INFINITY
  return [...events].sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)))
}

/** What the groups hold of the series named and of their neighbours. */
function listsOf(groups: PaneGroups, named: ReadonlyMap<number, Held>, isWhole: boolean): Map<number, Held> {
  const found = new Map<number, Held>()
  const rows = new Set([...named.keys()].flatMap(row => [row, row + 1, Math.max(0, row - 1)]))
  for (const row of [...rows].filter(one => one < CAPACITY).sort((a, b) => a - b)) {
    if (!isWhole) groups.reach(row)
    const { timeMs, value } = groups
    const held: Held = []
    for (let i = groups.from(row); i < groups.to(row); i++) held.push([timeMs[i], value[i]])
    if (held.length > 0) found.set(row, held)
  }
  return found
}
