// Shows that what the merge gives out is decided by each partition's own sequence and not by how the partitions interleave:
// random reports of several partitions, idle ones, repeats by a second teller, in random order; then seals, late reports,
// partitions that return, the bound on what waits, and that a merge put back from what it saved goes on as if never stopped.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HeldReport, type MergedWindow, WindowMerge } from '../../src/roles/merge.ts'

const STEP = 10
const OPTIONS = { partitions: 3, bytesMax: 1_000_000, returnMs: 60 }

type Told = Omit<HeldReport, 'offset'>

function report(
  partition: number,
  windowEndMs: number,
  part = 0,
  last = true,
  timestampMs = windowEndMs,
  epoch = 0,
): Told {
  return {
    partition,
    epoch,
    windowEndMs,
    part,
    last,
    timestampMs,
    value: new Uint8Array([partition, windowEndMs & 255, part]),
  }
}

const nameOf = ({ windowEndMs, reports }: MergedWindow) =>
  `${windowEndMs}:${reports.map(one => `${one.partition}.${one.part}`).join(',')}`

function drain(merge: WindowMerge): string[] {
  const out: string[] = []
  for (let window = merge.next(); window; window = merge.next()) out.push(nameOf(window))
  return out
}

/** Sequences of reports, one a partition: some windows are passed over as an idle partition does, some have many parts. */
const sequences = fc.array(
  fc.array(fc.record({ skip: fc.integer({ min: 1, max: 3 }), parts: fc.integer({ min: 1, max: 3 }) }), {
    minLength: 1,
    maxLength: 12,
  }),
  { minLength: 3, maxLength: 3 },
)

function toldOf(steps: readonly { skip: number; parts: number }[], partition: number, epoch = 0): Told[] {
  let end = 0
  return steps.flatMap(({ skip, parts }) => {
    end += skip * STEP
    return Array.from({ length: parts }, (_, part) =>
      report(partition, end, part, part === parts - 1, end, epoch),
    )
  })
}

/** One order of all messages; a partition's own stay in theirs. `picks` chooses, and now and then a second teller repeats. */
function interleaved(lists: readonly Told[][], picks: readonly number[]): Told[] {
  const at = lists.map(() => 0)
  const out: Told[] = []
  for (let i = 0; lists.some((list, p) => at[p] < list.length); i++) {
    const pick = picks.length === 0 ? i : picks[i % picks.length]
    const open = lists.flatMap((list, p) => (at[p] < list.length ? [p] : []))
    const p = open[pick % open.length]
    out.push(lists[p][at[p]++])
    // A second teller began anew from an older state and repeats a stretch.
    if (pick % 5 === 0) out.push(...lists[p].slice(Math.max(0, at[p] - 1 - (pick % 4)), at[p]))
  }
  return out
}

/** What must come out: ends that all have reached, each with what was told of it. */
function expected(lists: readonly Told[][]): string[] {
  const reached = Math.min(...lists.map(list => Math.max(...list.map(one => one.windowEndMs))))
  const ends = [...new Set(lists.flat().map(one => one.windowEndMs))].sort((a, b) => a - b)
  return ends
    .filter(end => end <= reached)
    .map(windowEndMs =>
      nameOf({
        windowEndMs,
        reports: lists.flat().filter(one => one.windowEndMs === windowEndMs) as HeldReport[],
      }),
    )
}

describe('merge of windows', () => {
  it('gives the same sequence for every interleaving, with repeats', () => {
    fc.assert(
      fc.property(sequences, fc.array(fc.nat(100), { maxLength: 60 }), (steps, picks) => {
        const lists = steps.map((one, p) => toldOf(one, p))
        const merge = new WindowMerge(OPTIONS)
        const out: string[] = []
        for (const [offset, one] of interleaved(lists, picks).entries()) {
          expect(merge.take({ ...one, offset }).as).not.toBe('late')
          out.push(...drain(merge))
        }
        expect(out).toEqual(expected(lists))
      }),
    )
  })

  it('put back and refilled from the oldest message that waited, it goes on as if never stopped', () => {
    const message = fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      fc.record({ end: fc.integer({ min: 1, max: 20 }), partitions: fc.subarray([0, 1, 2]) }),
    )
    fc.assert(
      fc.property(
        sequences,
        fc.option(sequences),
        fc.array(fc.nat(100), { maxLength: 60 }),
        fc.array(message, { maxLength: 40 }),
        fc.nat(80),
        fc.integer({ min: 9, max: 60 }),
        (steps, again, picks, seals, cut, bytesMax) => {
          // Some scorers begin anew, from an older window.
          const lists = steps.map((one, p) => [
            ...toldOf(one, p),
            ...(again && picks[p] % 2 === 0 ? toldOf(again[p], p, 7) : []),
          ])
          const log = interleaved(lists, picks).flatMap((one, i) => [seals[i], one])
          const options = { ...OPTIONS, bytesMax, returnMs: 20 }
          const step = (merge: WindowMerge, offset: number): string[] => {
            const entry = log[offset]
            if (entry === undefined) return []
            if ('end' in entry)
              return [`away ${merge.seal(entry.end * STEP, entry.partitions)}`, ...drain(merge)]
            return [merge.take({ ...entry, offset }).as, ...drain(merge)]
          }
          const whole = new WindowMerge(options)
          const at = Math.min(cut, log.length)
          for (let offset = 0; offset < at; offset++) step(whole, offset)
          const back = new WindowMerge(options)
          back.restore(JSON.parse(JSON.stringify(whole.snapshot())))
          for (let offset = whole.oldestOffset() ?? at; offset < at; offset++) {
            const entry = log[offset]
            if (entry !== undefined && !('end' in entry)) back.refill({ ...entry, offset })
          }
          for (let offset = at; offset < log.length; offset++)
            expect(step(back, offset)).toEqual(step(whole, offset))
          expect(back.snapshot()).toEqual(whole.snapshot())
          expect(back.oldestOffset()).toBe(whole.oldestOffset())
          expect(back.bytes).toBe(whole.bytes)
        },
      ),
    )
  })

  it('goes on without a sealed partition, and counts what that one tells then as late, once', () => {
    const merge = new WindowMerge(OPTIONS)
    let offset = 0
    const take = (one: Told) => merge.take({ ...one, offset: offset++ }).as
    for (const end of [10, 20]) for (const p of [0, 1]) take(report(p, end, 0, true, end + 1000))
    expect(merge.missing(10)).toEqual([2])
    expect(drain(merge)).toEqual([])
    expect(merge.seal(10, [2])).toEqual([2])
    expect(drain(merge)).toEqual(['10:0.0,1.0', '20:0.0,1.0'])
    expect(take(report(2, 10, 0, false, 900))).toBe('late')
    expect(take(report(2, 10, 1, true, 900))).toBe('late')
    expect(take(report(2, 10, 0, false, 900))).toBe('repeat')
    expect(merge.away).toEqual([2])
    for (const p of [0, 1]) take(report(p, 30, 0, true, 1030))
    expect(drain(merge)).toEqual(['30:0.0,1.0'])
    // It has caught up: it is waited for again.
    expect(take(report(2, 30, 0, true, 1020))).toBe('late')
    expect(merge.away).toEqual([])
    for (const p of [0, 1]) take(report(p, 40, 0, true, 1040))
    expect(drain(merge)).toEqual([])
    take(report(2, 40, 0, true, 1040))
    expect(drain(merge)).toEqual(['40:0.0,1.0,2.0'])
  })

  it('waits again for a partition whose senders are slow, once its news is as new as that of others', () => {
    const merge = new WindowMerge(OPTIONS)
    let offset = 0
    const take = (one: Told) => merge.take({ ...one, offset: offset++ }).as
    for (const p of [0, 1]) for (let end = 10; end <= 200; end += 10) take(report(p, end, 0, true, end))
    merge.seal(200, [2])
    expect(drain(merge).length).toBe(20)
    expect(take(report(2, 100, 0, true, 100))).toBe('late')
    expect(merge.away).toEqual([2])
    expect(take(report(2, 110, 0, true, 195))).toBe('late')
    expect(merge.away).toEqual([])
  })

  it('waits for a scorer that begins anew only once it has caught up, and takes no more of its former life', () => {
    const merge = new WindowMerge(OPTIONS)
    let offset = 0
    const take = (one: Told) => merge.take({ ...one, offset: offset++ })
    for (const end of [110, 120]) for (const p of [0, 1, 2]) take(report(p, end, 0, true, end))
    expect(drain(merge)).toEqual(['110:0.0,1.0,2.0', '120:0.0,1.0,2.0'])
    take(report(2, 130, 0, true, 130))
    expect(take(report(2, 10, 0, true, 10, 5))).toEqual({ as: 'late', restarted: true })
    expect(take(report(2, 140, 0, true, 140))).toEqual({ as: 'repeat', restarted: false })
    for (const p of [0, 1]) take(report(p, 130, 0, true, 130))
    expect(drain(merge)).toEqual(['130:0.0,1.0'])
    expect(take(report(2, 130, 0, true, 130, 5))).toEqual({ as: 'late', restarted: false })
    for (const p of [0, 1]) take(report(p, 140, 0, true, 140))
    expect(drain(merge)).toEqual([])
    take(report(2, 140, 0, true, 140, 5))
    expect(drain(merge)).toEqual(['140:0.0,1.0,2.0'])
  })

  it('seals nobody who has told meanwhile', () => {
    const merge = new WindowMerge(OPTIONS)
    for (const [offset, p] of [0, 1, 2].entries()) merge.take({ ...report(p, 10), offset })
    expect(merge.seal(10, [2])).toEqual([])
    expect(merge.away).toEqual([])
  })

  it('lets as many windows wait as there are, when one partition is days behind another', () => {
    const merge = new WindowMerge({ ...OPTIONS, partitions: 2 })
    const count = 200_000
    for (let i = 1; i <= count; i++) merge.take({ ...report(0, i * STEP), offset: i })
    expect(merge.next()).toBeUndefined()
    expect(merge.waiting).toEqual({ windows: count, oldestEndMs: STEP })
    merge.seal(STEP, [1])
    expect(merge.next()?.windowEndMs).toBe(STEP)
  })

  it('lets no more wait than it may: whoever is furthest behind is left', () => {
    const merge = new WindowMerge({ ...OPTIONS, bytesMax: 30 })
    merge.take({ ...report(1, 10), offset: 0 })
    let offset = 1
    let merged = 0
    for (let end = 10; end <= 1000; end += 10) {
      for (const p of [0, 1]) merge.take({ ...report(p, end), offset: offset++ })
      merged += drain(merge).length
      expect(merge.bytes).toBeLessThanOrEqual(30)
    }
    expect(merge.away).toEqual([2])
    expect(merged).toBe(100)
  })
})
