// Shows how few series of one running copy are told as silent: two of a copy that stopped, whose other series count as evidence
// all the same; one that falls silent alone; one that was not told and comes back strange; and that the count follows what is
// open through closes, restarts and forgetting (property test).
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Anomaly } from '../../src/core/anomaly.ts'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { type OpenRow, OpenRows } from '../../src/detectors/open-rows.ts'
import { PlainAbsence } from '../../src/detectors/plain-absence.ts'
import { PlainDetector } from '../../src/detectors/plain-detector.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const STEP_MS = 60_000
const PODS = 6
const OF_POD = 20

function stage() {
  const series = new SeriesTable(PODS * OF_POD)
  for (let i = 0; i < PODS * OF_POD; i++) {
    const labels = { pod: `web-${Math.floor(i / OF_POD)}` }
    series.intern({ ...testSeries(`m${i}`, 'latency', 's'), entity: 'web', labels })
  }
  const context = { series, stepMs: STEP_MS }
  const shape = new PlainDetector(context)
  return new Ensemble([shape], ENSEMBLE_DEFAULTS, context, { silence: new PlainAbsence(context, shape) })
}

/** Pod 2 stops at 60, and series 90 alone; at 80 all are back, of pod 2 the last one with values five times as large. */
async function play(ensemble: Ensemble, from: number, to: number) {
  const batch = featureBatch(PODS * OF_POD, 0)
  const out = opinionBatch(PODS * OF_POD)
  const told: string[] = []
  let missed = 0
  for (let t = from; t < to; t++) {
    const random = mulberry32(t + 1)
    batch.length = PODS * OF_POD
    for (let i = 0; i < batch.length; i++) {
      const isSilent = t >= 60 && t < 80 && (Math.floor(i / OF_POD) === 2 || i === 90)
      const value = (10 + gaussian(random)) * (i === 59 && t >= 80 ? 5 : 1)
      batch.series[i] = i
      batch.windowEndMs[i] = (t + 1) * STEP_MS
      batch.observed[i] = isSilent ? Number.NaN : value
    }
    await ensemble.score(batch, out)
    if (t === 70) missed = out.evidence.filter(evidence => evidence === 8).length
    for (const { event, anomaly } of ensemble.judge(batch, out))
      if (event !== 'updated') told.push(`${t} ${anomaly.series} ${event} ${anomaly.direction}`)
    ensemble.learn(batch, out, new Float32Array(batch.length).fill(1))
  }
  return { told, missed }
}

describe('anomalies opened by silence', () => {
  it('are few of one copy, while all its series are missed', async () => {
    const { told, missed } = await play(stage(), 0, 90)
    expect(missed).toBe(OF_POD + 1)
    const opened = told.filter(line => line.endsWith('opened absent')).map(line => Number(line.split(' ')[1]))
    expect(opened).toEqual([40, 41, 90])
    expect(told.filter(line => line.includes('closed absent'))).toHaveLength(3)
  })

  it('keep nothing strange from being told that comes after', async () => {
    const { told } = await play(stage(), 0, 90)
    const back = told.filter(line => line.includes(' 59 '))
    expect(back).toHaveLength(1)
    expect(back[0]).toMatch(/^8[1-3] 59 opened spike$/)
  })

  it('are the same after a restart', async () => {
    const whole = await play(stage(), 0, 90)
    for (const at of [62, 64, 75, 81]) {
      const first = stage()
      const before = await play(first, 0, at)
      const second = stage()
      second.restore(structuredClone(first.snapshot()) as Snapshot[])
      const after = await play(second, at, 90)
      expect([...before.told, ...after.told], `restart at ${at}`).toEqual(whole.told)
    }
  })

  it('have room again as they close', () => {
    const rowOf = (entity: string, imputed: boolean): OpenRow => {
      const anomaly = { tenant: 'default', entity, labels: {}, imputed } as unknown as Anomaly
      return { anomaly, told: 4 }
    }
    const act = fc.record({
      row: fc.nat(9),
      entity: fc.constantFrom('a', 'b'),
      imputed: fc.boolean(),
      open: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), acts => {
        const rows = new OpenRows(true)
        for (const { row, entity, imputed, open } of acts) {
          if (open) rows.set(row, rowOf(entity, imputed))
          else rows.delete(row)
          for (const one of ['a', 'b']) {
            const silent = [...rows.values()].filter(
              ({ anomaly }) => anomaly.imputed && anomaly.entity === one,
            ).length
            expect(rows.hasRoomForSilence(rowOf(one, true).anomaly)).toBe(silent < 2)
          }
        }
        rows.clear()
        expect(rows.hasRoomForSilence(rowOf('a', true).anomaly)).toBe(true)
      }),
      { numRuns: 100, seed: 3 },
    )
    expect(new OpenRows(false).set(1, rowOf('a', true)).hasRoomForSilence(rowOf('a', true).anomaly)).toBe(
      true,
    )
  })
})
