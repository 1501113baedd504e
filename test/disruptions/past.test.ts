// Shows which windows of the past are held to be normal: none that ends in a disrupted stretch, whatever moment is asked about;
// and as many as the history has, however far back is asked.
import { expect, it } from 'vitest'
import { NormalPast } from '../../src/disruptions/past.ts'
import { Bench, FullHistory, latencyMeta } from './bench.ts'

it('leaves out the windows of disrupted stretches, also when asked about a moment within a window', () => {
  const history = new FullHistory(10)
  const ends = Array.from({ length: 100 }, (_, i) => 10 * (i + 1))
  for (const end of ends) history.push(end, new Map([[0, end]]))
  const out = new Float64Array(100)
  for (const toMs of [900, 905]) {
    const past = new NormalPast(history, 0, toMs, { stride: 1, disrupted: [{ fromMs: 500, toMs: 600 }] })
    const normal = ends.filter(end => end <= 900 && !(end > 500 && end <= 600))
    expect([...out.subarray(0, past.read(0, out))], `up to ${toMs}`).toEqual(normal)
  }
})

it('looks at all of the past that there is, and thins it out only where that is too much', () => {
  const bench = new Bench()
  Object.assign(bench.history, { depth: 200 })
  const { stepMs } = bench.options
  const rows = ['a', 'b', 'c', 'd'].map(name => bench.add(latencyMeta(name)))
  let nowMs = 1_700_000_000_000
  for (let i = 0; i < 215; i++) {
    nowMs += stepMs
    bench.window(
      nowMs,
      new Map(rows.map((row, r) => [row, (1 + 0.1 * Math.sin(i * (r + 1.7))) * (i < 205 || r ? 1 : 5)])),
    )
  }
  const asked = (windows: number) => bench.stage.explain(nowMs - 10 * stepMs, windows * stepMs)
  expect(asked(200)[0].entity).toBe('a')
  expect(asked(100_000)).toEqual(asked(200))
})
