import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { COMBINER_VIEWS, VIEWS_WIDTH } from '../detectors/combiner-views.ts'
import { type CombinedProfile, OnnxCombiner } from '../detectors/onnx-combiner.ts'
import type { LabelledSeries } from './evaluate-data.ts'
import { SeriesRun } from './series-run.ts'

/** Digits that bring every float32 back as it was. */
const DIGITS = 9
const LINES_A_CHUNK = 1000

/**
 * Writes `<name>` into `folder`: of each loud window of the labelled history its row, label and views. Windows after
 * the history are not even scored: what is reported as test cannot get into a training set this way.
 */
export async function exportViews(
  series: LabelledSeries,
  name: string,
  profile: CombinedProfile,
  folder: string,
): Promise<number> {
  const path = join(folder, name.endsWith('.gz') ? name : `${name}.gz`)
  mkdirSync(dirname(path), { recursive: true })
  const counter = { rows: 0 }
  await pipeline(Readable.from(linesOf(series, profile, counter)), createGzip(), createWriteStream(path))
  return counter.rows
}

async function* linesOf(
  { timeMs, value, label, testFrom, stepMs }: LabelledSeries,
  profile: CombinedProfile,
  counter: { rows: number },
): AsyncGenerator<string> {
  yield `row,label,${COMBINER_VIEWS.join(',')}\n`
  let views: OnnxCombiner | undefined
  const run = new SeriesRun(
    {
      id: 'views@1',
      about: 'what a combiner learns from',
      rule: { point: 2, pointRefractoryMs: 0, incident: Infinity, incidentRefractoryMs: 0 },
      make: context => {
        // Without a folder there is no model that could fail.
        views = new OnnxCombiner(context, { profile, onFailure: () => {} })
        return views
      },
    },
    stepMs,
  )
  let lines = ''
  for (let row = 0; row < testFrom; row++) {
    if (Number.isNaN(value[row])) continue
    await run.next(timeMs[row], value[row])
    if (!views || views.combiner.count === 0) continue
    const cells = Array.from(views.combiner.tensor.subarray(0, VIEWS_WIDTH), view =>
      Number.isNaN(view) ? '' : String(Number(view.toPrecision(DIGITS))),
    )
    lines += `${row},${label[row]},${cells.join(',')}\n`
    if (++counter.rows % LINES_A_CHUNK > 0) continue
    yield lines
    lines = ''
  }
  yield lines
}
