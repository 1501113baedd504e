// Shows that the NAB scorer gives what NAB's own scorer gave on published results (to 1e-9), that its sweep agrees
// with scoring each threshold afresh, and that a perfect answer gets 100 and silence 0.
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { loadSeries } from '../../src/commands/evaluate-data.ts'
import { NAB_PROFILES, type NabFile, nabFileScore, nabResult, nabSweep } from '../../src/evaluate/nab.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const DATA = process.env.FORESHOCK_DATA ?? resolve(import.meta.dirname, '../../../shared/data')
const CHECK = join(DATA, 'nab/scorer-check')
const isThere = existsSync(CHECK)
if (!isThere) process.stderr.write(`skipping the NAB scorer check: no ${CHECK} (set FORESHOCK_DATA)\n`)

function made(seed: number): NabFile {
  const random = mulberry32(seed)
  const rows = 1000
  return {
    name: `made-${seed}`,
    timeMs: Float64Array.from({ length: rows }, (_, i) => i * 300_000),
    score: Float64Array.from({ length: rows }, () => Math.floor(random() * 200) / 200),
    windows: [
      [300, 360],
      [700, 720],
    ],
  }
}

describe('NAB', () => {
  it.runIf(isThere)('agrees with the published scores to 1e-9', async () => {
    const expected = JSON.parse(readFileSync(join(CHECK, 'expected.json'), 'utf8')) as Record<
      string,
      Record<string, Record<string, { threshold: number; score: number }>>
    >
    let checked = 0
    for (const [detector, profiles] of Object.entries(expected)) {
      for (const name of Object.keys(profiles.standard)) {
        const series = await loadSeries('nab', DATA, `${name}.gz`)
        const text = gunzipSync(readFileSync(join(CHECK, detector, `${name}.gz`))).toString()
        const lines = text.trim().split('\n').slice(1)
        const score = Float64Array.from(lines, line => Number(line.split(',')[1]))
        const file = { name, timeMs: series.timeMs, score, windows: series.windows }
        for (const [p, profile] of NAB_PROFILES.entries()) {
          const { threshold, score: wanted } = profiles[profile.name][name]
          expect(Math.abs(nabFileScore(file, threshold)[p] - wanted)).toBeLessThan(1e-9)
          checked++
        }
      }
    }
    expect(checked).toBe(246)
  })

  it('sweeps thresholds to the scores that each gives alone', () => {
    for (const refractoryMs of [0, 3_600_000]) {
      const file = made(1)
      const sweep = nabSweep(file, refractoryMs)
      for (let k = 0; k < sweep.thresholds.length; k += 7) {
        const alone = nabFileScore(file, sweep.thresholds[k], refractoryMs)
        for (const [p, score] of alone.entries()) expect(sweep.scores[p][k]).toBeCloseTo(score, 9)
      }
    }
  })

  it('gives 100 to the first row of every window alone, and 0 to silence', () => {
    const perfect = { ...made(2), score: new Float64Array(1000) }
    perfect.score[300] = 1
    perfect.score[700] = 1
    const silent = { ...made(2), score: new Float64Array(1000).fill(NaN) }
    for (const p of [0, 1, 2]) {
      expect(nabResult([nabSweep(perfect, 0)], p).final).toBeCloseTo(100, 9)
      expect(nabResult([nabSweep(silent, 0)], p).final).toBe(0)
    }
  })

  it('chooses one threshold for the corpus that no other beats', () => {
    const files = [made(3), made(4), made(5)]
    const sweeps = files.map(file => nabSweep(file, 0))
    for (const p of [0, 1, 2]) {
      const { threshold, perFile } = nabResult(sweeps, p)
      const total = perFile.reduce((a, b) => a + b, 0)
      for (let t = 0; t <= 1.1; t += 0.005) {
        const other = files.reduce((sum, file) => sum + nabFileScore(file, t)[p], 0)
        expect(other).toBeLessThanOrEqual(total + 1e-9)
      }
      const direct = files.reduce((sum, file) => sum + nabFileScore(file, threshold)[p], 0)
      expect(total).toBeCloseTo(direct, 9)
    }
  })
})
