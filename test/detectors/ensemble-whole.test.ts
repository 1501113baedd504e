// Shows a detector of whole batches in the ensemble: it sees entities whole although batches are scored in blocks of
// 1,024 rows, it speaks in the opinions of the rows it covers and changes no other, its words stand in the anomaly, and
// the scoring stage goes on after a restart as if it had never stopped.
import { describe, expect, it } from 'vitest'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { RidgeMember } from '../../src/detectors/ridge-member.ts'
import { ShiftDetector } from '../../src/detectors/shift.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const STEP_MS = 60_000
const OPTIONS = { maxMetrics: 120, budgetBytes: 64e6, cpuShare: 1, warmUpMax: 60 }
/** Series alone in their entity, which lie between the first and the second half of one entity of six. */
const LONERS = 2000
const ROWS = LONERS + 6

function stage(withRidge: boolean) {
  const series = new SeriesTable(ROWS)
  const member = (i: number) => i < 3 || i >= LONERS + 3
  for (let i = 0; i < ROWS; i++)
    series.intern({ ...testSeries(`m${i}`), entity: member(i) ? 'shop' : `alone${i}` })
  const context = { series, stepMs: STEP_MS }
  const ridge = withRidge ? [new RidgeMember(context, OPTIONS)] : []
  const detectors = [new DeviationDetector(context), new ShiftDetector(context), ...ridge]
  return {
    ensemble: new Ensemble(detectors, ENSEMBLE_DEFAULTS, context),
    members: [0, 1, 2, ROWS - 3, ROWS - 2, ROWS - 1],
  }
}

type Stage = ReturnType<typeof stage>

async function run(
  stages: readonly Stage[],
  from: number,
  to: number,
  visit: (t: number, outs: ReturnType<typeof opinionBatch>[], opened: string[][]) => void,
) {
  const batch = featureBatch(ROWS, 0)
  const weight = new Float32Array(ROWS).fill(1)
  for (let t = from; t < to; t++) {
    const random = mulberry32(t + 1)
    const load = 100 + 20 * gaussian(random)
    batch.length = ROWS
    for (let i = 0; i < ROWS; i++) {
      const place = stages[0].members.indexOf(i)
      batch.series[i] = i
      batch.windowEndMs[i] = (t + 1) * STEP_MS
      batch.observed[i] = (place < 0 ? 50 : (place + 1) * load) + gaussian(random)
    }
    // Far from the load, yet within what the series itself has always done.
    if (t >= 400) batch.observed[1] = 2 * (load > 100 ? 60 : 140)
    const outs = stages.map(() => opinionBatch(ROWS))
    const opened: string[][] = []
    for (const [s, { ensemble }] of stages.entries()) {
      await ensemble.score(batch, outs[s])
      for (const { event, anomaly } of ensemble.judge(batch, outs[s]))
        if (event === 'opened' && anomaly.metric === 'm1') opened.push([String(s), ...anomaly.why])
      ensemble.learn(batch, outs[s], weight)
    }
    visit(t, outs, opened)
  }
}

describe('a detector of whole batches', () => {
  it('sees entities across blocks, speaks for its own rows only, and says why', async () => {
    const [plain, together] = [stage(false), stage(true)]
    const opened: string[][] = []
    await run([plain, together], 0, 410, (t, [a, b], found) => {
      opened.push(...found)
      if (t % 50 > 0) return
      for (let i = 3; i < LONERS + 3; i++)
        if (!Object.is(a.surprise[i], b.surprise[i]) || !Object.is(a.point[i], b.point[i]))
          expect.fail(`row ${i} at ${t}`)
    })
    expect(together.ensemble.detectors[2].counts).toMatchObject({
      entities: 1,
      series: 6,
      'series-waiting': 0,
    })
    expect(opened.map(([s]) => s)).toEqual(['1'])
    expect(opened[0].join('\n')).toMatch(/ridge@1 \d+ %[\s\S]*given the 5 other metrics of shop/)
  })

  it('goes on after a restart', async () => {
    const whole = stage(true)
    await run([whole], 0, 200, () => {})
    const saved = whole.ensemble.snapshot()
    expect(saved.map(({ id }) => id)).toContain('ridge@1')
    const again = stage(true)
    again.ensemble.restore(saved.map(part => ({ ...part, meta: JSON.parse(JSON.stringify(part.meta)) })))
    await run([whole, again], 200, 260, (_, [a, b]) => expect(b.surprise).toEqual(a.surprise))
  })
})
