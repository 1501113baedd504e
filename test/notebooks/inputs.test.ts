// Shows that training and serving cannot skew: a recording with gaps, a constant series, steps and huge values runs through
// the assembled pipeline, which asks a model for its opinion and exports its windows at the same time; inputs made of the export
// in Python, by the formulas of notebooks/fslib, are those that the model was given, row by row.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { assemble } from '../../src/assembly.ts'
import { WindowRecorder } from '../../src/commands/window-recorder.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import type { ModelCard } from '../../src/detectors/model-card.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { openWindowFile } from '../../src/store/window-file.ts'
import { cardOf, digestOf, Shelf } from '../detectors/model-world.ts'
import { finished, NOTEBOOKS, notebookPython } from './python.ts'

const LIMIT_MS = 700_000
const MINUTES = 600
const START_MS = 1_700_006_400_000
const folder = mkdtempSync(join(tmpdir(), 'foreshock-inputs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** One service; NaN is a window without a sample. */
function world(): Record<string, (number | undefined)[]> {
  const random = mulberry32(9)
  const line = (of: (t: number) => number | undefined) => Array.from({ length: MINUTES }, (_, t) => of(t))
  return {
    latency_p99_seconds: line(t => {
      if ((t >= 200 && t < 205) || random() < 0.03) return undefined
      return t === 400 ? 1e7 : 0.2 + 0.05 * Math.sin(t / 40) + 0.01 * random()
    }),
    requests_per_second: line(t => 100 + (t > 300 ? 60 : 0) + 8 * random()),
    memory_usage_bytes: line(t => (t > 450 && t < 480 ? undefined : 3e9)),
    error_ratio: line(() => (random() < 0.9 ? 0 : 0.01 * random())),
  }
}

const CARDS: Readonly<Record<string, ModelCard>> = {
  window: cardOf({
    id: 'window',
    task: 'score',
    window: { of: 'series', length: 12 },
    normalisation: { by: 'window' },
    scope: ['latency'],
  }),
  running: cardOf({
    id: 'running',
    task: 'reconstruction',
    window: {
      of: 'entity',
      length: 5,
      metrics: ['kind:latency', 'kind:error', 'kind:traffic', 'kind:cpu', 'kind:memory'],
    },
    normalisation: { by: 'running', days: 0.05 },
  }),
}

const PYTHON = `
import json, sys
from fslib import inputs, windows
table = windows.load(sys.argv[1])
step = windows.step_ms(table)
_, lines = windows.lines(table)
(series,) = windows.entities(table).values()
rows, usable = inputs.series_inputs(lines[series["latency"]], 12, {"by": "window"}, step)
kinds = ["latency", "error", "traffic", "cpu", "memory"]
all, present = inputs.entity_inputs([lines.get(series.get(kind)) for kind in kinds], 5, {"by": "running", "days": 0.05}, step)
json.dump({"window": rows[usable].tolist(), "running": all[present.any(axis=1)].tolist()}, open(sys.argv[2], "w"))
`

const GOLDEN = join(import.meta.dirname, '../detectors/model-input.json')
const CHECK_GOLDEN = `
import json, sys
import numpy as np
from fslib import inputs
cases = json.load(open(sys.argv[1]))["cases"]
for case in cases:
    values = np.array([np.nan if value is None else value for value in case["values"]])
    rows, usable = inputs.series_inputs(values, case["length"], case["normalisation"], case["stepMs"], case["forecast"])
    assert len(rows) == len(case["inputs"]), case["name"]
    for row, is_usable, wanted in zip(rows, usable, case["inputs"], strict=True):
        assert is_usable == (wanted is not None), case["name"]
        if wanted is not None:
            np.testing.assert_allclose(row, wanted, rtol=1e-6, atol=1e-6, err_msg=case["name"])
print(f"{len(cases)} cases agree")
`

describe('inputs of models', () => {
  it('agree with the golden numbers that the service is tested by', { timeout: LIMIT_MS }, async context => {
    const python = await notebookPython(context)
    const checked = await finished(python, ['-c', CHECK_GOLDEN, GOLDEN], { cwd: NOTEBOOKS })
    expect(checked.out).toMatch(/^[1-9]\d* cases agree\n$/)
  })

  it('are the same in training and serving', { timeout: LIMIT_MS }, async context => {
    const python = await notebookPython(context)
    const shelf = new Shelf()
    const given: Record<string, number[][]> = { window: [], running: [] }
    for (const [name, card] of Object.entries(CARDS))
      shelf.put(card, row => {
        given[name].push(Array.from(row))
        return Array.from(row.subarray(0, card.output.width))
      })
    const config = parseConfig({
      ingest: { entityLabels: ['service'] },
      features: { step: '1m', lateness: '1ms' },
      detection: { models: { timeout: '60s' } },
    })
    const parts = assemble(config, new Rejects(), () => {}, { openModel: shelf.open })
    const file = join(folder, 'windows.parquet')
    const fd = openSync(file, 'w')
    const recorder = new WindowRecorder(
      parts,
      openWindowFile('parquet', bytes => void writeSync(fd, bytes)),
      { fromMs: -Infinity, toMs: Infinity, matches: () => true },
    )
    const pipeline = new Pipeline({ ...parts, history: recorder }, async () => {}, new Telemetry())
    let position = 0
    for (const id of Object.keys(CARDS)) {
      const order = { op: 'promote', model: id, version: 1, digest: digestOf(1), by: 'test' }
      const bytes = new TextEncoder().encode(JSON.stringify(order))
      const envelope = {
        kind: 'model',
        encoding: 'identity',
        tenant: 'default',
        arrivalMs: START_MS,
        bytes,
      } as const
      expect((await pipeline.process(++position, envelope)).rejected).toBe(0)
    }
    const lines = Object.entries(world())
    for (let t = 0; t < MINUTES; t++) {
      const timeMs = START_MS + t * 60_000
      const body = lines
        .filter(([, values]) => values[t] !== undefined)
        .map(([metric, values]) =>
          JSON.stringify({
            time: timeMs,
            type: 'gauge',
            metric,
            labels: { service: 'shop' },
            value: values[t],
          }),
        )
      const bytes = new TextEncoder().encode(body.join('\n'))
      const envelope = {
        kind: 'json-lines',
        encoding: 'identity',
        tenant: 'default',
        arrivalMs: timeMs,
        bytes,
      } as const
      await pipeline.process(++position, envelope)
    }
    await pipeline.finish(++position)
    await recorder.finish(async () => {})
    closeSync(fd)

    const answer = join(folder, 'inputs.json')
    const made = await finished(python, ['-c', PYTHON, file, answer], { cwd: NOTEBOOKS })
    expect(made.code, made.out.slice(-2000)).toBe(0)
    const wanted = JSON.parse(readFileSync(answer, 'utf8')) as typeof given
    for (const name of Object.keys(CARDS)) {
      // The first windows of a series are not asked about: the model has not seen enough of it.
      expect(given[name].length).toBeGreaterThan(MINUTES * 0.8)
      const own = wanted[name].slice(-given[name].length)
      expect(own).toHaveLength(given[name].length)
      for (const [r, row] of given[name].entries())
        for (const [c, value] of row.entries())
          expect(
            Math.abs(value - own[r][c]),
            `${name}, row ${r}, column ${c}: ${value}, ${own[r][c]}`,
          ).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)))
    }
  })
})
