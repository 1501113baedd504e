// Shows what windows promise: the same rows whatever the order of arrival, duplicates or cuts between batches;
// a watermark that never goes back; late, future and idle input; gaps; and a restore that nobody notices.
// Random inputs come from fast-check; the expected rows of the small cases are worked out by hand.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeriesTable } from '../../src/core/series.ts'
import { EventTimeWindows } from '../../src/features/windows.ts'
import { add, drain, intern, rig, rowsOf, type Sample } from './windowing.ts'

const T0 = 1_700_000_000_000

const sample = fc.tuple(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 0, max: 12_000 }).map(ms => T0 + ms),
  fc.oneof(
    fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    fc.constantFrom(Number.NaN, 0.1, 0.2, 0.3, 1e308, -1e308),
  ),
)
const samples = fc.array(sample, { minLength: 1, maxLength: 120 })

/** Seeded shuffle that keeps every sample within `latenessMs` of the newest one before it. */
function shuffled(input: readonly Sample[], latenessMs: number, seeds: readonly number[]): Sample[] {
  return input
    .map((s, i) => ({ s, at: s[1] + (seeds[i % seeds.length] / 1000) * latenessMs }))
    .sort((a, b) => a.at - b.at)
    .map(({ s }) => s)
}

function cut<T>(list: readonly T[], sizes: readonly number[]): T[][] {
  const out: T[][] = []
  for (let at = 0, i = 0; at < list.length; i++) {
    const size = sizes[i % sizes.length]
    out.push(list.slice(at, at + size))
    at += size
  }
  return out
}

function run(batches: readonly (readonly Sample[])[], options = {}) {
  const { windows, rejects } = rig(options)
  const out = []
  for (const batch of batches) {
    add(windows, batch, T0 + 60_000)
    out.push(...drain(windows))
  }
  windows.finish()
  out.push(...drain(windows))
  return { out, rejects: rejects.counts() }
}

describe('order of arrival', () => {
  it('any order within the lateness, with duplicates, in any cuts, gives the same rows bit for bit', () => {
    const seeds = fc.array(fc.integer({ min: 0, max: 999 }), { minLength: 1, maxLength: 50 })
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(samples, seeds, sizes, seeds, sizes, (input, seeds1, sizes1, seeds2, sizes2) => {
        const options = { latenessMs: 2500, features: true, seasonMs: 48_000 }
        const first = shuffled(input, 2500, seeds1)
        const twice = shuffled([...input, ...input.filter((_, i) => i % 3 === 0)], 2500, seeds2)
        const a = run(cut(first, sizes1), options)
        const b = run(cut(twice, sizes2), options)
        expect(a.rejects).toEqual({})
        expect(b).toEqual(a)
      }),
      // −0 alone, and twice: a sum of the two is 0.
      { numRuns: 100, examples: [[[[0, T0, -0]], [0], [1], [0], [1]]] },
    )
  })

  it('a series in its rhythm has the rows and the memory that samples told twice make, bit for bit', () => {
    // What is told twice takes the way of windows of several samples.
    const beat = fc.tuple(
      fc.oneof(
        { weight: 12, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.constantFrom(1, 2, 0.5, -1) },
      ),
      fc.oneof(
        { weight: 12, arbitrary: fc.double({ noNaN: true, min: -5, max: 5 }) },
        fc.constantFrom(Number.NaN, -0),
      ),
    )
    const played = (beats: readonly (readonly [number, number])[], every: number, times: number) => {
      const { windows, rejects } = rig({ retentionMs: 9000 })
      const out = []
      for (const [i, [late, value]] of beats.entries()) {
        // −1 is a beat that is left out.
        if (late >= 0) {
          const one: Sample = [2, T0 + i * every + late, value]
          add(
            windows,
            Array.from({ length: times }, () => one),
          )
        }
        out.push(...drain(windows))
      }
      windows.finish()
      out.push(...drain(windows))
      expect(rejects.counts()).toEqual({})
      return { out, memory: windows.snapshot() }
    }
    fc.assert(
      fc.property(
        fc.array(beat, { minLength: 10, maxLength: 40 }),
        fc.constantFrom(400, 700, 1000, 1300, 2000),
        (beats, every) => {
          expect(played(beats, every, 1)).toEqual(played(beats, every, 2))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('a window is the mean of its samples in time order, each time counted once with its highest value', () => {
    const { windows } = rig()
    add(windows, [
      [1, T0 + 300, 0.3],
      [1, T0 + 100, 0.1],
      [1, T0 + 200, 0.2],
      [1, T0 + 200, 0.2],
      [1, T0 + 200, -5],
      [2, T0 + 999, 7],
      [2, T0 + 1000, 9],
    ])
    windows.finish()
    const rows = rowsOf(drain(windows)).filter(row => row.coverage > 0)
    expect(rows.map(row => [row.series, row.endMs, row.observed])).toEqual([
      [1, T0 + 1000, (0.1 + 0.2 + 0.3) / 3],
      [2, T0 + 1000, 7],
      [2, T0 + 2000, 9],
    ])
  })

  it('what comes later never changes an earlier window', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 119 }), (input, keep) => {
        const ordered = [...input].sort((a, b) => a[1] - b[1])
        const all = run([ordered], { features: true }).out
        const { windows } = rig({ features: true })
        add(windows, ordered.slice(0, keep), T0 + 60_000)
        const prefix = drain(windows)
        expect(all.slice(0, prefix.length)).toEqual(prefix)
      }),
      { numRuns: 40 },
    )
  })

  it('rows ascend by series across batches, and one window is marked last once', () => {
    const { windows } = rig({}, 30)
    add(
      windows,
      Array.from({ length: 30 }, (_, i): Sample => [29 - i, T0 + 5, i]),
    )
    windows.finish()
    const lasts: boolean[] = []
    const series: number[] = []
    for (let lent = windows.next(); lent; lent = windows.next()) {
      lasts.push(lent.last)
      series.push(...lent.batch.series.subarray(0, lent.batch.length))
    }
    expect(series).toEqual(Array.from({ length: 30 }, (_, i) => i))
    expect(lasts).toEqual([false, false, false, true])
  })
})

describe('watermark', () => {
  it('never goes back and never passes arrival − lateness while samples come', () => {
    const step = fc.tuple(
      fc.integer({ min: -5000, max: 90_000 }),
      fc.integer({ min: 0, max: 4000 }),
      fc.boolean(),
    )
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), steps => {
        const { windows } = rig({ latenessMs: 1500, idleMs: 5000 })
        let arrival = T0
        let before = Number.NEGATIVE_INFINITY
        for (const [ahead, passed, tick] of steps) {
          arrival += passed
          if (tick) windows.tick(arrival)
          else add(windows, [[0, arrival + ahead, 1]], arrival)
          drain(windows)
          const now = windows.watermarkMs
          if (Number.isNaN(now)) continue
          expect(now).toBeGreaterThanOrEqual(before)
          expect(now).toBeLessThanOrEqual(arrival - 1500)
          before = now
        }
      }),
      { numRuns: 200 },
    )
  })

  it('is NaN before the first sample', () => {
    const { windows } = rig()
    windows.tick(T0)
    expect(windows.watermarkMs).toBeNaN()
    expect(windows.next()).toBeUndefined()
    windows.finish()
    expect(windows.next()).toBeUndefined()
  })

  it('a sender whose clock is ahead cannot close the windows of others; far ahead is refused', () => {
    const { windows, rejects } = rig({ futureLimitMs: 60_000, latenessMs: 1000 })
    add(
      windows,
      [
        [0, T0 + 50_000, 1],
        [0, T0 + 86_400_000, 1],
      ],
      T0 + 100,
    )
    expect(windows.watermarkMs).toBe(T0 + 100 - 1000)
    add(windows, [[1, T0, 5]], T0 + 200)
    expect(rejects.counts()).toEqual({ future: 1 })
    windows.finish()
    expect(rowsOf(drain(windows)).find(row => row.series === 1)).toMatchObject({
      observed: 5,
      endMs: T0 + 1000,
    })
  })

  it('a clock set back gives late samples: counted, with one named', () => {
    const { windows, rejects } = rig()
    add(windows, [[0, T0 + 10_000, 1]])
    add(
      windows,
      [
        [2, T0 + 100, 1],
        [2, T0 + 200, 1],
        [0, T0 + 10_500, 3],
      ],
      T0 + 10_500,
    )
    expect(rejects.counts()).toEqual({ late: 2 })
    expect(rejects.recent()[0].detail).toContain(`m2 at ${T0 + 100}`)
  })

  it('goes on with arrival when the input is idle, keeping the distance that the samples had', () => {
    const { windows } = rig({ idleMs: 3000, latenessMs: 1000 })
    add(windows, [[0, T0 + 500, 1]], T0 + 5500)
    windows.tick(T0 + 8500)
    expect(windows.watermarkMs).toBe(T0 - 500)
    expect(drain(windows)).toEqual([])
    windows.tick(T0 + 10_500)
    expect(windows.watermarkMs).toBe(T0 + 1500)
    expect(rowsOf(drain(windows)).map(row => row.observed)).toEqual([1])
  })

  it('goes on with the ticks of a clock that ran ahead and was set back', () => {
    const { windows } = rig({ idleMs: 3000, latenessMs: 1000 })
    const steady = rig({ idleMs: 3000, latenessMs: 1000 }).windows
    add(windows, [[0, T0 + 500, 1]], T0 + 500)
    add(steady, [[0, T0 + 500, 1]], T0 + 500)
    const ends: number[][] = [[], []]
    for (let ms = 1000; ms <= 60_000; ms += 1000) {
      const ahead = ms > 10_000 && ms <= 15_000 ? 3_600_000 : 0
      windows.tick(T0 + ms + ahead)
      steady.tick(T0 + ms)
      for (const [i, one] of [windows, steady].entries())
        for (let out = one.next(); out; out = one.next()) if (out.last) ends[i].push(out.windowEndMs)
    }
    // The five seconds that ran ahead are missing at most, not the hour.
    expect(windows.watermarkMs).toBeLessThanOrEqual(steady.watermarkMs)
    expect(windows.watermarkMs).toBeGreaterThanOrEqual(steady.watermarkMs - 8000)
    expect(ends[1].slice(0, ends[0].length)).toEqual(ends[0])
  })
})

describe('restart', () => {
  it('time in which nobody listened is not silence: what sources kept back is taken', () => {
    const { windows, rejects } = rig({ idleMs: 3000, latenessMs: 1000 })
    add(windows, [[0, T0, 1]])
    windows.tick(T0 + 1000)
    // An hour of downtime; the first tick comes before the source sends its backlog.
    windows.tick(T0 + 3_600_000)
    windows.tick(T0 + 3_601_000)
    for (let s = 1; s < 20; s++) add(windows, [[0, T0 + s * 1000, 1]], T0 + 3_602_000)
    windows.finish()
    expect(rejects.counts()).toEqual({})
    expect(rowsOf(drain(windows))).toHaveLength(20)
  })
})

describe('gaps', () => {
  it('a few empty windows, then time jumps, whether or not ticks came meanwhile', () => {
    const hours = 6 * 3_600_000
    const results = [false, true].map(ticks => {
      const { windows } = rig({ gapWindowsMax: 5, idleMs: 2000 })
      add(windows, [
        [0, T0, 1],
        [0, T0 + 1000, 1],
        [0, T0 + 2000, 1],
      ])
      const out = drain(windows)
      if (ticks) {
        for (let t = 3000; t < hours; t += t < 100_000 ? 1000 : 60_000) {
          windows.tick(T0 + t)
          out.push(...drain(windows))
        }
      }
      add(windows, [
        [0, T0 + hours, 2],
        [0, T0 + hours + 1000, 3],
      ])
      windows.finish()
      out.push(...drain(windows))
      return out
    })
    // Silence that somebody listened to is told; while nobody did, as when this process was down, nothing is known.
    const [unheard, heard] = results.map(windows => windows.flatMap(({ rows }) => rows))
    expect(heard.filter(row => Number.isNaN(row.observed)).length).toBeGreaterThan(0)
    expect(unheard.filter(row => Number.isNaN(row.observed))).toEqual([])
    expect(heard.filter(row => !Number.isNaN(row.observed))).toEqual(unheard)
    expect(results[1].map(({ endMs }) => endMs)).toEqual(results[0].map(({ endMs }) => endMs))
    expect(results[0]).toHaveLength(3 + 5 + 2)
    expect(results[0].at(-2)?.rows).toMatchObject([{ observed: 2, endMs: T0 + hours + 1000 }])
  })

  it('an overdue series gets rows without a value until it is back; a slow one is not overdue between samples', () => {
    const { windows } = rig({ latenessMs: 0 })
    // Series 0 sends every second and pauses from 10 s to 20 s; series 1 sends every 5 s.
    const input: Sample[] = []
    for (let s = 0; s < 30; s++) {
      if (s < 10 || s >= 20) input.push([0, T0 + s * 1000, s])
      if (s % 5 === 0) input.push([1, T0 + s * 1000, s])
    }
    add(windows, input, T0 + 30_000)
    windows.finish()
    const rows = rowsOf(drain(windows))
    const of = (series: number) => rows.filter(row => row.series === series)
    // The last sample before the pause is at 9 s: overdue after 2.5 s, so from the window that ends at 12 s on.
    expect(
      of(0)
        .filter(row => Number.isNaN(row.observed))
        .map(row => row.endMs - T0),
    ).toEqual([12, 13, 14, 15, 16, 17, 18, 19, 20].map(s => s * 1000))
    expect(of(0).filter(row => row.coverage === 0)).toHaveLength(9)
    expect(of(1)).toHaveLength(6)
    expect(of(1).every(row => row.coverage === 1 && !Number.isNaN(row.observed))).toBe(true)
  })

  it('a series that sends in bursts is not overdue between them, and one that slows down is soon known', () => {
    const { windows } = rig({ stepMs: 10_000, latenessMs: 0, gapWindowsMax: 1000 })
    const input: Sample[] = []
    for (let m = 0; m < 30; m++) for (let i = 0; i < 3; i++) input.push([0, T0 + m * 60_000 + i, 1])
    for (let s = 0; s < 1800; s += s < 600 ? 1 : 60) input.push([1, T0 + s * 1000, 1])
    input.sort((a, b) => a[1] - b[1])
    add(windows, input)
    windows.finish()
    const rows = rowsOf(drain(windows)).filter(row => row.coverage === 0)
    // Only the first pause is a surprise: until then the bursts were all that was known.
    expect(rows.filter(row => row.series === 0 && row.endMs > T0 + 70_000)).toEqual([])
    const overdue = rows.filter(row => row.series === 1)
    expect(overdue.length).toBeGreaterThan(5)
    expect(overdue.at(-1)?.endMs).toBeLessThan(T0 + 1_100_000)
  })

  it('a stale marker gives a row without a value at once', () => {
    const { windows } = rig({ latenessMs: 0 })
    add(windows, [
      [0, T0, 1],
      [0, T0 + 1000, 1],
      [0, T0 + 2000, Number.NaN],
      [1, T0 + 5000, 1],
    ])
    windows.finish()
    const rows = rowsOf(drain(windows)).filter(row => row.series === 0)
    expect(rows.map(row => row.observed)).toEqual([1, 1, Number.NaN, Number.NaN, Number.NaN, Number.NaN])
    expect(rows[2].coverage).toBe(0)
  })

  it('coverage is the share of the samples that usually come', () => {
    const { windows } = rig({ stepMs: 10_000, latenessMs: 0 })
    const input: Sample[] = []
    for (let s = 0; s < 60; s++) if (s < 40 || s % 2 === 0) input.push([0, T0 + s * 1000, 1])
    add(windows, input, T0 + 60_000)
    windows.finish()
    expect(rowsOf(drain(windows)).map(row => row.coverage)).toEqual([1, 1, 1, 1, 0.5, 0.625])
  })

  it('a series silent for longer than the retention is named once, and its row can be used again', () => {
    const { windows, table } = rig({ latenessMs: 0, retentionMs: 5000 })
    const input: Sample[] = [
      [1, T0, 1],
      [1, T0 + 1000, 1],
    ]
    for (let s = 0; s < 12; s++) input.push([0, T0 + s * 1000, s])
    add(windows, input)
    drain(windows)
    expect(windows.expired()).toEqual([1])
    expect(windows.expired()).toEqual([])
    // A sample that waits in an open window belongs to the old series, not to the one that takes its row.
    add(windows, [[1, T0 + 12_000, 99]])
    table.evict(1)
    windows.forget(1)
    expect(intern(table, 'fresh')).toBe(1)
    add(windows, [[1, T0 + 12_500, 7]])
    windows.finish()
    expect(rowsOf(drain(windows)).filter(row => row.series === 1)).toMatchObject([
      { observed: 7, coverage: 1 },
    ])
  })

  it('a row that was given back among several windows takes no memory for each batch that comes during the last', () => {
    const { windows, table } = rig({ latenessMs: 0, retentionMs: 1000 })
    add(windows, [[1, T0, 1], ...Array.from({ length: 4 }, (_, s): Sample => [0, T0 + s * 1000, s])])
    for (let w = 0; w < 2; w++) windows.next()
    expect(windows.expired()).toEqual([1])
    table.evict(1)
    windows.forget(1)
    windows.prepare()
    const before = windows.bytes()
    for (let i = 0; i < 900; i++) add(windows, [[0, T0 + 3000 + i, i]])
    expect(windows.bytes() - before).toBeLessThan(100_000)
    windows.finish()
    expect(drain(windows).map(({ rows }) => rows.length)).toEqual([1, 1])
  })
})

describe('bounds', () => {
  it('refuses what does not fit and what is not a number, and counts it', () => {
    const { windows, rejects } = rig({ openSamplesMax: 3 })
    add(
      windows,
      Array.from({ length: 5 }, (_, i): Sample => [0, T0 + i, i]),
    )
    expect(rejects.counts()).toEqual({ 'windows-full': 2 })
    // A body of a few kB may lie in a million windows.
    const spread = rig({ openWindowsMax: 3 })
    add(
      spread.windows,
      [0, 1, 2, 3, 4, 1].map((at, i): Sample => [0, T0 + at * 1000 + i, at]),
    )
    expect(spread.rejects.counts()).toEqual({ 'windows-full': 2 })
    spread.windows.finish()
    expect(rowsOf(drain(spread.windows)).map(row => row.observed)).toEqual([0, 1, 2])
    const other = rig()
    add(
      other.windows,
      [
        [0, T0, Number.POSITIVE_INFINITY],
        [0, Number.NaN, 1],
        [0, T0, 4],
      ],
      T0,
    )
    expect(other.rejects.counts()).toEqual({ future: 1, 'not-finite': 1 })
    other.windows.finish()
    expect(rowsOf(drain(other.windows)).map(row => row.observed)).toEqual([4])
  })
})

describe('snapshot', () => {
  it('restore is as if it had never stopped, even when the rows of the table change', () => {
    fc.assert(
      fc.property(samples, samples, fc.boolean(), (before, after, reverse) => {
        const options = { features: true, latenessMs: 3000, retentionMs: 4000, seasonMs: 48_000 }
        const later = after.map(([s, t, v]): Sample => [s, t + 6000, v])
        const { windows: whole } = rig(options)
        add(whole, before, T0 + 30_000)
        drain(whole)
        const parts = structuredClone(whole.snapshot())
        expect(JSON.parse(JSON.stringify(parts.map(part => part.meta)))).toEqual(parts.map(part => part.meta))

        const table = new SeriesTable()
        const order = reverse ? [3, 2, 1, 0] : [0, 1, 2, 3]
        for (const i of order) intern(table, `m${i}`)
        const rejects = rig().rejects
        const again = new EventTimeWindows(
          { stepMs: 1000, batchRows: 8, ...options },
          { series: table, rejects },
        )
        again.restore(parts)
        expect(again.watermarkMs).toBe(whole.watermarkMs)

        add(whole, later, T0 + 40_000)
        add(
          again,
          later.map(([s, t, v]): Sample => [order.indexOf(s), t, v]),
          T0 + 40_000,
        )
        whole.finish()
        again.finish()
        const expected = drain(whole)
        const got = drain(again).map(window => ({
          ...window,
          rows: window.rows
            .map(row => ({ ...row, series: order[row.series] }))
            .sort((a, b) => a.series - b.series),
        }))
        expect(got).toEqual(expected)
        expect(
          again
            .expired()
            .map(row => order[row])
            .sort(),
        ).toEqual([...whole.expired()].sort())
      }),
      { numRuns: 60 },
    )
  })

  it('refuses another step and ignores the parts of others', () => {
    const { windows, table, rejects } = rig()
    add(windows, [[0, T0, 1]])
    const parts = windows.snapshot()
    const other = new EventTimeWindows({ stepMs: 2000 }, { series: table, rejects })
    expect(() => other.restore(parts)).toThrow(/step/)
    other.restore([{ ...parts[0], id: 'someone else' }])
    expect(other.watermarkMs).toBeNaN()
  })
})
