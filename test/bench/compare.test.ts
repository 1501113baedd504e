// Shows that the comparer of the bench finds what became worse and nothing else: regressions of ratios, of CPU figures and
// of bytes; improvements; what only wobbles; what is missing or new; figures of another machine; and files that are no
// reports. Then the command itself, by its exit codes.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type ComparedReport, compared, parseReport, verdictText } from '../../bench/comparison.ts'
import { GOALS, goalCells, goalRows } from '../../bench/goals.ts'
import { summed } from '../../bench/report.ts'

const around = (value: number, spread = 0.02) => [-1, -0.5, 0, 0.5, 1].map(x => value * (1 + spread * x))
const report = (
  results: readonly (Partial<ComparedReport['results'][number]> & { id: string })[],
  machine = 'm',
): ComparedReport => ({
  schema: 1,
  command: 'npm run bench',
  date: '2026-01-01 00:00',
  commit: 'abc',
  machine,
  results: results.map(one => ({ what: one.id, unit: '×', values: around(1), ...one })),
})
const ids = (changes: readonly { readonly id: string }[]) => changes.map(({ id }) => id)

describe('comparing two reports', () => {
  it('finds regressions of ratios, CPU and bytes, in the direction that is worse', () => {
    const before = report([
      { id: 'ratio', values: around(1) },
      { id: 'more', better: 'more', values: around(10) },
      { id: 'cpu', unit: 'ns CPU/sample', values: around(100) },
      { id: 'bytes', unit: 'B/series', values: [400] },
      { id: 'fine', values: around(1) },
    ])
    const after = report([
      { id: 'ratio', values: around(1.2) },
      { id: 'more', better: 'more', values: around(8) },
      { id: 'cpu', unit: 'ns CPU/sample', values: around(120) },
      { id: 'bytes', unit: 'B/series', values: [470] },
      { id: 'fine', values: around(1.1) },
    ])
    const found = compared(before, after)
    expect(ids(found.regressions)).toEqual(['ratio', 'more', 'cpu', 'bytes'])
    expect(found.same).toBe(1)
    expect(found.regressions[1].worse).toBeCloseTo(0.2)
    expect(verdictText(found)).toMatch(/4 regressed[\s\S]*cpu: 100 → 120/)
  })

  it('is silent on wall time, and on CPU of another machine, but not on its ratios', () => {
    const before = report([
      { id: 'wall', unit: 'ms wall', values: around(1) },
      { id: 'wall ratio', unit: '× its wall time', values: around(1) },
      { id: 'cpu', unit: 'ns CPU/sample', values: around(1) },
      { id: 'ratio', values: around(1) },
    ])
    const after = {
      ...before,
      machine: 'another',
      results: before.results.map(one => ({ ...one, values: around(2) })),
    }
    const found = compared(before, after)
    expect(ids(found.regressions)).toEqual(['ratio'])
    expect(found.elsewhere).toBe(1)
    expect(verdictText(found)).toContain('another machine')
  })

  it('calls what overlaps noise, and what does not improvement', () => {
    const before = report([
      { id: 'noisy', values: [1, 1.1, 1.2, 1.5, 2] },
      { id: 'better', values: around(1) },
      { id: 'perhaps', values: [0.5, 0.8, 1, 1.5, 2] },
    ])
    const after = report([
      { id: 'noisy', values: [1.1, 1.3, 1.6, 1.6, 1.7] },
      { id: 'better', values: around(0.5) },
      { id: 'perhaps', values: [0.5, 0.6, 0.8, 1, 1.1] },
    ])
    const found = compared(before, after)
    expect(found.regressions).toEqual([])
    expect(ids(found.noisy)).toEqual(['noisy'])
    expect(ids(found.improvements)).toEqual(['better'])
    expect(verdictText(found)).toContain('no regression')
  })

  it('an outlier of one repetition hides no regression', () => {
    const before = report([{ id: 'cpu', values: [100, 100, 101, 101, 102, 102, 180] }])
    const after = report([{ id: 'cpu', values: [90, 130, 130, 131, 131, 132, 132] }])
    expect(ids(compared(before, after).regressions)).toEqual(['cpu'])
  })

  it('names what is missing, with why, and what is new', () => {
    const before = report([
      { id: 'gone' },
      { id: 'failed' },
      { id: 'never', values: [] },
      { id: 'wall', unit: 's wall' },
    ])
    const after = report([{ id: 'failed', values: [], why: 'no VictoriaMetrics' }, { id: 'new' }])
    const found = compared(before, after)
    expect(found.missing).toEqual(['gone', 'failed (no VictoriaMetrics)'])
    expect(found.unknown).toEqual(['new'])
    expect(verdictText(found)).toMatch(/Not measured now:\n {2}gone\n {2}failed \(no VictoriaMetrics\)/)
  })
})

describe('reading a report', () => {
  it('takes what the bench writes and says what is wrong with anything else', () => {
    const good = report([{ id: 'a' }])
    expect(parseReport(JSON.stringify(good))).toEqual(good)
    expect(parseReport('{')).toMatch(/^not JSON/)
    expect(parseReport('[]')).toMatch(/^not a report of the bench: top level/)
    expect(parseReport(JSON.stringify({ ...good, schema: 2 }))).toMatch(/schema/)
    const bad = { ...good, results: [{ id: 'a', what: '', unit: '', values: ['x'] }] }
    expect(parseReport(JSON.stringify(bad))).toMatch(/results\.0\.values\.0/)
    // A ratio over nothing becomes null in JSON: no number to agree on.
    const empty = { ...good, results: [{ id: 'a', what: '', unit: '', values: [Number.NaN] }] }
    expect(typeof parseReport(JSON.stringify(empty))).toBe('string')
  })
})

describe('the command', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-compare-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, value: unknown) => {
    const file = join(folder, name)
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value))
    return file
  }
  const run = (...args: string[]) => {
    const script = resolve(import.meta.dirname, '../../bench/compare.ts')
    const done = spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8' })
    return { status: done.status, text: done.stdout + done.stderr }
  }

  it('fails on regressions and missing measures, not on a part that was asked for', () => {
    const baseline = write('baseline.json', report([{ id: 'a' }, { id: 'b' }]))
    const worse = write('worse.json', report([{ id: 'a', values: around(2) }, { id: 'b' }]))
    const part = write('part.json', report([{ id: 'a' }]))
    expect(run('--baseline', baseline, '--json', worse)).toMatchObject({ status: 1 })
    expect(run('--baseline', baseline, '--json', part)).toMatchObject({ status: 1 })
    expect(run('--baseline', baseline, '--json', part, '--partial')).toMatchObject({ status: 0 })
  })

  it('says what cannot be read', () => {
    const good = write('good.json', report([{ id: 'a' }]))
    const none = run('--baseline', join(folder, 'none.json'), '--json', good)
    expect(none.status).toBe(2)
    expect(none.text).toContain('none.json')
  })
})

describe('the goals', () => {
  it('are fourteen, told as aim, floor, missed or not measured', () => {
    expect(GOALS.map(one => one.number)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1))
    for (const { better, floor, aim } of GOALS)
      expect(better === 'less' ? aim < floor : aim > floor).toBe(true)
    const of = (id: string, value: number) => ({
      id,
      what: id,
      unit: '×',
      values: [value, value, 1.1 * value],
    })
    const none = { id: 'goal.2', what: '', unit: '×', values: [], why: 'no server' }
    const rows = goalRows(
      summed([of('goal.1', 26), none, of('goal.3', 0.8), of('goal.4', 9), of('path.heap', 0)]),
      {
        fleet: 'no Kafka',
      },
    )
    expect(rows.slice(0, 5).map(({ verdict }) => verdict)).toEqual([
      'aim met',
      'not measured: no server',
      'floor met',
      'missed',
      'not measured: not run, or failed (fleet: no Kafka)',
    ])
    expect(rows[12].verdict).toBe('aim met')
    expect(goalCells(rows[2]).slice(2)).toEqual(['≤ 1.0 ×', '≤ 0.40 ×', '0.80 ×', '0.80–0.88', 'floor met'])
  })

  it('leave out what came out as no number, and say so where nothing else is left', () => {
    const said = JSON.parse(JSON.stringify([Number.NaN, 2, Number.POSITIVE_INFINITY])) as number[]
    const [some, nothing] = summed([
      { id: 'a', what: 'a', unit: '×', values: said },
      { id: 'b', what: 'b', unit: '×', values: [Number.NaN] },
    ])
    expect(some).toMatchObject({ values: [2], median: 2 })
    expect(nothing).toMatchObject({ values: [], why: 'what was measured is no number' })
  })
})
