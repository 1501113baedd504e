// Shows what `evaluate lab` prints of a report, on hand-made outcomes whose figures are known: shares count what was
// missed, times are of what was found, intervals hold their values and are the same every time.
import { describe, expect, it } from 'vitest'
import { labFigures, labRows, labTableText } from '../../src/commands/lab-table.ts'
import { type FaultOutcome, type LabReport, merged } from '../../src/lab/report.ts'

const outcome = (seed: number, more: Partial<FaultOutcome>): FaultOutcome => ({
  seed,
  kind: 'cpu-burn',
  root: 'inventory',
  control: false,
  detected: true,
  secondsToDetect: 3,
  rankAtOpening: 2,
  rankAtEnd: 1,
  titleAtOpening: null,
  titleAtEnd: null,
  suspectsAtEnd: [],
  secondsToResolve: null,
  further: [],
  ...more,
})

const MISSED = { detected: false, secondsToDetect: null, rankAtOpening: null, rankAtEnd: null }
const CONTROL = { kind: 'traffic-rise', root: null, control: true, ...MISSED } as const

const report: LabReport = merged([
  {
    startedAt: '2026-11-20T12:00:00Z',
    finishedAt: '2026-11-20T12:10:00Z',
    url: 'http://127.0.0.1',
    seeds: [1, 2],
    outcomes: [
      outcome(1, { secondsToDetect: 2, rankAtOpening: 1 }),
      outcome(2, MISSED),
      outcome(1, { kind: 'memory-leak', secondsToDetect: 12, rankAtEnd: 3 }),
      outcome(2, { kind: 'memory-leak', secondsToDetect: 4 }),
      outcome(1, CONTROL),
      outcome(2, { ...CONTROL, detected: true }),
    ],
    falseDisruptions: [{ seed: 2, at: '2026-11-20T12:05:00Z', title: 'x', during: 'traffic-rise' }],
    events: [],
    totals: {} as LabReport['totals'],
  },
])

describe('the table of the lab', () => {
  it('has every figure with an interval around it', () => {
    const figures = new Map(labFigures(report).map(one => [one.metric, one]))
    const value = (metric: string) => figures.get(metric)?.value
    expect(value('found, share')).toBe(0.75)
    expect(value('seconds to detect, median of those found')).toBe(4)
    expect(value('seconds to detect, mean of those found')).toBe(6)
    expect(value('true cause first at opening, share')).toBe(0.25)
    expect(value('true cause first at the end, share')).toBe(0.5)
    expect(value('true cause among three at the end, share')).toBe(0.75)
    expect(value('controls called, share')).toBe(0.5)
    expect(value('false disruptions a run, mean')).toBe(0.5)
    for (const { value: own, interval } of figures.values()) {
      expect(interval[0]).toBeLessThanOrEqual(own)
      expect(interval[1]).toBeGreaterThanOrEqual(own)
    }
    expect(labFigures(report)).toEqual([...figures.values()])
  })

  it('has a row a kind of fault, in the order of the lab', () => {
    expect(labRows(report).map(({ kind, found, runs }) => `${kind} ${found}/${runs}`)).toEqual([
      'cpu-burn 1/2',
      'memory-leak 2/2',
      'traffic-rise 1/2',
    ])
    const text = labTableText(report)
    expect(text).toMatch(/cpu-burn +1\/2 +2\.0 +1 –/)
    expect(text).toMatch(/memory-leak +2\/2 +12\.0 4\.0 +3 1/)
    expect(text).toMatch(/traffic-rise \(control\) +1\/2/)
  })

  it('is empty and not broken without any run', () => {
    const none = merged([])
    expect(labRows(none)).toEqual([])
    expect(labFigures(none).every(({ value }) => Number.isNaN(value))).toBe(true)
    expect(labTableText(none)).toContain('–')
  })
})
