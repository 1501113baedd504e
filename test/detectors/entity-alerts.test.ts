// Shows that a noisy entity must be louder than its own loudest moments of past days, that an alert outlasts a pause of
// less than an hour and no more, and that rows without a score change nothing.
import { describe, expect, it } from 'vitest'
import { EntityAlert, EntityEvidence } from '../../src/detectors/entity-alerts.ts'

const STEP_MS = 300_000
const DAY = 288

/** Evidence of a score of 6 after days whose loudest moment was `loudest`. */
function evidenceAfter(loudest: number, days: number, gaps = false): number {
  const evidence = new EntityEvidence(STEP_MS)
  for (let t = 0; t < days * DAY; t++) {
    if (gaps && t % 2 === 0) evidence.next(Number.NaN)
    evidence.next(t % DAY === 100 ? loudest : 1)
  }
  return evidence.next(6)
}

describe('evidence of an entity', () => {
  it('is set against what its own days bring', () => {
    expect(evidenceAfter(2, 10)).toBeCloseTo((2 * 6) / 3, 0)
    expect(evidenceAfter(5, 10)).toBeCloseTo((2 * 6) / 6, 0)
    expect(evidenceAfter(5, 10)).toBeLessThan(evidenceAfter(2, 10))
  })

  it('knows no day before one is over, and takes rows without a score as not there', () => {
    expect(evidenceAfter(5, 0)).toBe(evidenceAfter(2, 0))
    expect(evidenceAfter(5, 10, true)).toBe(evidenceAfter(5, 10))
    expect(new EntityEvidence(STEP_MS).next(Number.NaN)).toBeNaN()
  })

  it('is not moved by one loud day among many', () => {
    const usual = new EntityEvidence(STEP_MS)
    for (let t = 0; t < 10 * DAY; t++) usual.next(t % DAY === 100 ? (t > 8 * DAY ? 40 : 2) : 1)
    expect(usual.next(6)).toBeCloseTo(evidenceAfter(2, 10), 5)
  })
})

describe('an alert', () => {
  const run = (evidence: readonly number[]) => {
    const alert = new EntityAlert(2, STEP_MS)
    return evidence.map(e => (alert.next(e) ? 'opens' : alert.isLoud ? 'lasts' : 'quiet'))
  }
  const calm = (rows: number) => new Array<number>(rows).fill(0)

  it('opens once, lasts while five eighths as loud, and takes up again within the hour', () => {
    expect(run([0, 2, 1.3, 1.2, ...calm(10), 1.5])).toEqual([
      'quiet',
      'opens',
      'lasts',
      ...new Array(11).fill('quiet'),
      'lasts',
    ])
  })

  it('is another one after an hour, and not before evidence is high', () => {
    const said = run([3, ...calm(12), 1.5, Number.NaN, 2])
    expect(said.slice(-3)).toEqual(['quiet', 'quiet', 'opens'])
  })

  it('ends when the rows have no evidence any more', () => {
    expect(run([3, ...new Array(12).fill(Number.NaN), 3]).filter(s => s === 'opens')).toHaveLength(2)
  })
})
