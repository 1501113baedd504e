// Shows that what a combiner is trained on is what it will be served, and nothing of the test: a labelled series is
// exported to a file, and every row of it must be the tensor that a detector fed live holds at that very window; rows
// from the test on, whatever they are, change no byte.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { evaluateCommand } from '../../src/commands/evaluate.ts'
import type { LabelledSeries } from '../../src/commands/evaluate-data.ts'
import { exportViews } from '../../src/commands/export-views.ts'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { COMBINER_FOLDER } from '../../src/detectors/combiner.ts'
import { COMBINER_VIEWS, VIEWS_WIDTH } from '../../src/detectors/combiner-views.ts'
import { OnnxCombiner } from '../../src/detectors/onnx-combiner.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-views-'))
afterAll(() => rmSync(folder, { recursive: true }))

const STEP_MS = 300_000
const DAY = 288
const START_MS = Date.UTC(2026, 0, 5)
const TEST_FROM = 5 * DAY

function series(testValue: number): LabelledSeries {
  const random = mulberry32(3)
  const n = 6 * DAY
  const value = Float64Array.from({ length: n }, (_, t) => {
    const usual =
      50 + 20 * Math.sin((2 * Math.PI * t) / DAY) + 3 * random() + (random() < 0.03 ? 15 * random() : 0)
    return t >= TEST_FROM ? testValue : t % 400 === 399 ? usual + 40 : t % 97 === 0 ? NaN : usual
  })
  return {
    timeMs: Float64Array.from({ length: n }, (_, t) => START_MS + t * STEP_MS),
    value,
    label: Uint8Array.from({ length: n }, (_, t) => (t % 400 === 399 ? 1 : 0)),
    testFrom: TEST_FROM,
    stepMs: STEP_MS,
    windows: [],
  }
}

async function exported(name: string, testValue: number): Promise<string[]> {
  const rows = await exportViews(series(testValue), name, 'tiny', folder)
  const lines = gunzipSync(readFileSync(join(folder, `${name}.gz`)))
    .toString()
    .trimEnd()
    .split('\n')
  expect(lines).toHaveLength(rows + 1)
  return lines
}

describe('exportViews', () => {
  it('writes what a detector fed live sees, labelled, and nothing of the test', async () => {
    const [header, ...lines] = await exported('a.csv', 1e6)
    expect(header).toBe(`row,label,${COMBINER_VIEWS.join(',')}`)
    expect(await exported('b.csv', -1e6)).toEqual([header, ...lines])

    const { value, timeMs } = series(0)
    const table = new SeriesTable(1)
    table.intern({
      key: 'other',
      tenant: 'default',
      metric: 'other',
      labels: {},
      entity: 'e',
      unit: '',
      kind: 'other',
      bad: 'both',
    })
    // With the model, as it is served: that must not change what it sees.
    const onFailure = (error: Error) => {
      throw error
    }
    const context = { series: table, stepMs: STEP_MS }
    const views = new OnnxCombiner(context, { profile: 'tiny', folder: COMBINER_FOLDER, onFailure })
    const { combiner } = views
    const batch = featureBatch(1, 0)
    batch.length = 1
    const seen = new Map<number, number[]>()
    for (let t = 0; t < TEST_FROM; t++) {
      if (Number.isNaN(value[t])) continue
      batch.observed[0] = value[t]
      batch.windowEndMs[0] = timeMs[t] + STEP_MS
      await views.score(batch, scoreBatch(1))
      if (combiner.count > 0) seen.set(t, Array.from(combiner.tensor.subarray(0, VIEWS_WIDTH)))
      views.learn(batch, Float32Array.of(1))
    }
    await views.close()
    const read = new Map(
      lines.map(line => {
        const [row, , ...cells] = line.split(',')
        return [Number(row), cells.map(cell => (cell === '' ? NaN : Math.fround(Number(cell))))] as const
      }),
    )
    expect(read.size).toBeGreaterThan(10)
    expect(read).toEqual(seen)
    const labelled = lines.filter(line => line.split(',')[1] === '1').map(line => Number(line.split(',')[0]))
    expect(labelled).toEqual([399, 799, 1199])
  })

  it('is refused for sets without a labelled history', async () => {
    expect(await evaluateCommand({ suite: 'nab', data: folder, views: folder })).toBe(2)
  })
})
