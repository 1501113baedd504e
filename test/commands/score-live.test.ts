// Shows that `score` and the live service are one thing: a series with a daily rhythm, gaps, spikes and a level shift
// goes through `foreshock score` as a file and, window by window, through the assembled pipeline as JSON lines. What
// the profile detector says of every window must be the same numbers to the last digit, for each profile.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { assemble } from '../../src/assembly.ts'
import { scoreCommand } from '../../src/commands/score.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { ProfileMember } from '../../src/detectors/profile-member.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { Pipeline } from '../../src/pipeline.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-live-'))
afterAll(() => rmSync(folder, { recursive: true }))
const STEP_S = 300
const DAY = 288
const START_S = 1_700_006_400

/** Time and value of each window; some windows are missing. */
function recording(days: number): [number, number][] {
  const random = mulberry32(5)
  const rows: [number, number][] = []
  for (let t = 0; t < days * DAY; t++) {
    const isGap = (t >= 700 && t < 720) || random() < 0.01
    const event = t === 1000 || t === 1300 ? 60 : t >= 1100 && t < 1160 ? 15 : 0
    const value = 100 + 30 * Math.sin((2 * Math.PI * t) / DAY) + 4 * random() + event
    if (!isGap) rows.push([START_S + t * STEP_S, Number(value.toFixed(3))])
  }
  return rows
}

const shown = (value: number) => (Number.isNaN(value) ? '' : String(Number(value.toPrecision(7))))

/** Surprise, point, incident, expected, lower and upper by time, as the live pipeline's profile detector says them. */
async function live(detector: string, rows: readonly (readonly [number, number])[]) {
  const profile = detector.replace('combiner-', '')
  const config = parseConfig({
    features: { step: '5m', lateness: '1ms', retention: '365d' },
    // Nobody is promoted: what `score` says is what one profile says.
    detection: { profile, combiner: profile !== detector, memory: 0 },
  })
  const parts = assemble(config, new Rejects())
  const said = new Map<number, string>()
  // On the first day deviation@1 has the expectation; evidence is the ensemble's, calibrated, so only that is compared.
  const coarse = new Map<number, string>()
  const deviation = DeviationDetector.prototype.score
  DeviationDetector.prototype.score = async function (batch, out) {
    await deviation.call(this, batch, out)
    for (let i = 0; i < batch.length; i++)
      coarse.set(
        batch.windowEndMs[i] / 1000 - STEP_S,
        [out.expected, out.lower, out.upper].map(column => shown(column[i])).join(','),
      )
  }
  const score = ProfileMember.prototype.score
  ProfileMember.prototype.score = async function (batch, out) {
    await score.call(this, batch, out)
    for (let i = 0; i < batch.length; i++) {
      const columns = [out.score, out.point, out.incident, out.expected, out.lower, out.upper]
      said.set(batch.windowEndMs[i] / 1000 - STEP_S, columns.map(column => shown(column[i])).join(','))
    }
  }
  try {
    const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
    let position = 0
    for (const [time, value] of rows) {
      const line = JSON.stringify({
        time,
        metric: 'depth',
        labels: { service: 'queue' },
        value,
        type: 'gauge',
      })
      const bytes = new TextEncoder().encode(line)
      const arrivalMs = time * 1000
      await pipeline.process(++position, {
        kind: 'json-lines',
        encoding: 'identity',
        arrivalMs,
        tenant: 'default',
        bytes,
      })
    }
    await pipeline.finish(++position)
  } finally {
    ProfileMember.prototype.score = score
    DeviationDetector.prototype.score = deviation
  }
  return { said, coarse }
}

describe('score and the live service', () => {
  it.each(['tiny', 'compact', 'full', 'combiner-tiny', 'combiner-full'])(
    'say the same of every window, %s',
    async profile => {
      const rows = recording(6)
      const input = join(folder, 'series.csv')
      const out = join(folder, 'out.csv')
      writeFileSync(input, `timestamp,value\n${rows.map(row => row.join(',')).join('\n')}\n`)
      expect(await scoreCommand({ input, out, detector: profile, step: String(STEP_S) })).toBe(0)
      const { said, coarse } = await live(profile, rows)
      let opinions = 0
      let early = 0
      for (const line of readFileSync(out, 'utf8').trimEnd().split('\n').slice(1)) {
        const cells = line.split(',')
        const time = Number(cells[0])
        if (cells[3] !== '' && time < START_S + DAY * STEP_S) {
          expect(said.get(time)).toBe(',,,,,')
          // Later on the first day the daily rise is a hot window live, which teaches less: the baselines may part.
          if (early < 80) expect(coarse.get(time), `at ${time}`).toBe(cells.slice(6, 9).join(','))
          early++
          continue
        }
        expect(said.get(time), `at ${time}`).toBe(cells.slice(3, 9).join(','))
        if (cells[3] !== '') opinions++
      }
      expect(opinions).toBeGreaterThan(4 * DAY)
      expect(early).toBeGreaterThan(DAY - 40)
      // Gaps are windows live, without an opinion; rows only exist where something was recorded.
      for (let t = 700; t < 720; t++) expect(said.get(START_S + t * STEP_S) ?? ',,,,,').toBe(',,,,,')
    },
  )
})
