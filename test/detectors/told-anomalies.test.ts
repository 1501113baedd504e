// Shows what is remembered of anomalies that were told: how an open one is followed, what a series rests from, that both come
// back as they were saved, and that nothing of history stays when it is let go.
import { describe, expect, it } from 'vitest'
import type { Anomaly } from '../../src/core/anomaly.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { ToldAnomalies } from '../../src/detectors/told-anomalies.ts'
import { testSeries } from './contract.ts'

const STEP_MS = 60_000
const CLOSE_AFTER = 3
const table = tableOf(2)

function tableOf(count: number): SeriesTable {
  const series = new SeriesTable(count)
  for (let i = 0; i < count; i++) series.intern(testSeries(`m${i}`))
  return series
}

function told(): ToldAnomalies {
  return new ToldAnomalies(false, CLOSE_AFTER, STEP_MS)
}

/** An anomaly of the series in a row, as far as it is looked at here. */
function anomaly(row: number, surprise: number): Anomaly {
  const { key, tenant, entity, labels } = table.meta(row)
  const values = { observed: 9, expected: 5, lower: Number.NaN, upper: 6, surprise, severity: 'minor' }
  const times = { startMs: 0, endMs: STEP_MS, detectedMs: STEP_MS }
  const rest = { status: 'open', direction: 'spike', imputed: false, why: ['it moved'] }
  return { series: row, key, tenant, entity, labels, ...values, ...times, ...rest } as unknown as Anomaly
}

/** A window of it, as hot or calm as is said. */
function window(surprise: number, calm: number) {
  return { endMs: 2 * STEP_MS, isSilent: false, surprise, isHot: calm === 0, calm }
}

describe('anomalies that were told', () => {
  it('are told again when they grew by enough, and as closed when they were calm for long enough', () => {
    const all = told()
    all.open(0, anomaly(0, 5))
    const grown = (surprise: number) => (was: Anomaly) => ({ ...was, surprise })
    expect(all.follow(0, window(5.5, 0), grown(5.5))).toBeUndefined()
    expect(all.all()[0].surprise).toBe(5.5)
    expect(all.follow(0, window(6.5, 0), grown(6.5))).toMatchObject({
      event: 'updated',
      anomaly: { surprise: 6.5 },
    })
    expect(all.follow(0, window(1, CLOSE_AFTER - 1), grown(1))).toBeUndefined()
    expect(all.follow(0, window(1, CLOSE_AFTER), grown(1))).toMatchObject({
      event: 'closed',
      anomaly: { surprise: 6.5, status: 'closed' },
    })
    expect(all.all()).toEqual([])
  })

  it('are rested from until something is louder', () => {
    const all = told()
    all.rest(0, anomaly(0, 5))
    expect(all.isLouder(0, 7.9, 11)).toBe(false)
    expect(all.isLouder(0, 8, 0)).toBe(true)
    expect(all.isLouder(0, 5, -12)).toBe(true)
    all.rested(0)
    expect(all.isLouder(0, 9, 100)).toBe(false)
  })

  it('come back as they were saved; of a series that is gone they are told as closed, without a row', () => {
    const all = told()
    all.open(0, anomaly(0, 5))
    all.open(1, anomaly(1, 4))
    all.rest(1, anomaly(1, 4))
    const saved = JSON.parse(JSON.stringify(all.saved(table)))
    const back = told()
    back.restore(saved, table)
    expect(back.all()).toEqual(all.all())
    expect(back.saved(table)).toEqual(all.saved(table))
    const fewer = told()
    fewer.restore(saved, tableOf(1))
    expect(fewer.all()).toEqual([all.all()[0]])
    expect(fewer.takeOrphans()).toMatchObject([
      { event: 'closed', anomaly: { key: table.key(1), series: -1 } },
    ])
    expect(fewer.takeOrphans()).toEqual([])
  })

  it('leave nothing when they are let go, not even what was rested from', () => {
    const all = told()
    all.open(0, anomaly(0, 5))
    all.rest(1, anomaly(1, 4))
    all.letGo()
    expect(all.saved(table)).toEqual({ open: [], orphans: [], rested: [] })
  })
})
