// Shows that `score --shape multivariate` and the live service are one thing: the metrics of an entity, some of them with
// gaps and one that breaks with the others, go through `score` as a file and, window by window, through the assembled
// pipeline as JSON lines. The entity's score and the metrics blamed must be the same to the last digit, with another
// entity beside it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { assemble } from '../../src/assembly.ts'
import { scoreCommand } from '../../src/commands/score.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { RidgeDetector } from '../../src/detectors/ridge.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { jsonLines } from '../envelopes.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-live-'))
afterAll(() => rmSync(folder, { recursive: true }))
const STEP_S = 900
const DAY = 96
const START_S = 1_700_006_400
const METRICS = ['latency', 'requests', 'cpu', 'memory']

function recording(days: number): number[][] {
  const random = mulberry32(5)
  return Array.from({ length: days * DAY }, (_, t) => {
    const load = 100 + 30 * Math.sin((2 * Math.PI * t) / DAY) + 8 * random()
    return METRICS.map((_, m) => {
      if (t > 0 && m === 2 && t % 11 === 0) return Number.NaN
      const broken = m === 1 && t >= 3 * DAY && t < 3 * DAY + 8
      return Number(((m + 1) * (broken ? 200 - load : load) + random()).toFixed(3))
    })
  })
}

/** Entity score and loudest metric by time, as the detector of entity `shop` says them in the pipeline. */
async function live(rows: readonly number[][]): Promise<Map<number, string>> {
  const config = parseConfig({
    features: { step: '15m', lateness: '1ms', retention: '365d' },
    detection: { multivariate: { profile: 'auto' } },
  })
  const parts = assemble(config, new Rejects())
  const said: string[][] = []
  const detectors: RidgeDetector[] = []
  const learn = RidgeDetector.prototype.learn
  // A row counts when it is learned: it may be scored more than once before.
  RidgeDetector.prototype.learn = function (weight) {
    if (!detectors.includes(this)) detectors.push(this)
    const { score, share, loudest } = this.opinion
    const top = METRICS[share.indexOf(loudest)]
    const at = detectors.indexOf(this)
    said[at] ??= []
    said[at].push(Number.isNaN(score) ? '' : `${Number(score.toPrecision(7))} ${top}`)
    learn.call(this, weight)
  }
  try {
    const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
    let position = 0
    for (const [t, row] of rows.entries()) {
      const time = START_S + t * STEP_S
      const lines = ['shop', 'bank'].flatMap(service =>
        METRICS.map((metric, m) => ({ time, metric, labels: { service }, value: row[m], type: 'gauge' })),
      )
      const there = lines.filter(line => !Number.isNaN(line.value))
      await pipeline.process(++position, jsonLines(there, time * 1000))
    }
    await pipeline.finish(++position)
  } finally {
    RidgeDetector.prototype.learn = learn
  }
  expect(detectors).toHaveLength(2)
  expect(parts.scoring.detectors.find(({ id }) => id === 'ridge@1')?.counts).toMatchObject({
    entities: 2,
    series: 8,
  })
  return new Map(said[0].map((text, t) => [START_S + t * STEP_S, text]))
}

it('score and the live service say the same of every row of an entity', async () => {
  const rows = recording(4)
  const input = join(folder, 'shop.csv')
  const out = join(folder, 'out.csv')
  const cells = rows.map((row, t) =>
    [START_S + t * STEP_S, ...row.map(x => (Number.isNaN(x) ? '' : x))].join(','),
  )
  writeFileSync(input, `timestamp,${METRICS.join(',')}\n${cells.join('\n')}\n`)
  expect(await scoreCommand({ input, out, shape: 'multivariate', step: String(STEP_S) })).toBe(0)
  const said = await live(rows)
  let opinions = 0
  for (const line of readFileSync(out, 'utf8').trimEnd().split('\n').slice(1)) {
    const [time, , surprise, , , , , top] = line.split(',')
    const expected = surprise === '' ? '' : `${surprise} ${top.split(';')[0]}`
    expect(said.get(Number(time)), `at ${time}`).toBe(expected)
    if (surprise !== '') opinions++
  }
  expect(opinions).toBe(3 * DAY)
  expect(said.get(START_S + (3 * DAY + 3) * STEP_S)).toMatch(/ requests$/)
})
