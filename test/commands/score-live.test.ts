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
import { jsonLines } from '../envelopes.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-live-'))
afterAll(() => rmSync(folder, { recursive: true }))
const STEP_S = 300
const DAY = 288
const START_S = 1_700_006_400

/** Time and value of each window; some windows are missing. */
function recording(days: number, startS: number): [number, number][] {
  const random = mulberry32(5)
  const rows: [number, number][] = []
  for (let t = 0; t < days * DAY; t++) {
    const isGap = (t >= 700 && t < 720) || random() < 0.01
    const event = t === 1000 || t === 1300 ? 60 : t >= 1100 && t < 1160 ? 15 : 0
    const value = 100 + 30 * Math.sin((2 * Math.PI * t) / DAY) + 4 * random() + event
    if (!isGap) rows.push([startS + t * STEP_S, Number(value.toFixed(3))])
  }
  return rows
}

const shown = (value: number) => (Number.isNaN(value) ? '' : String(Number(value.toPrecision(7))))

/** Surprise, point, incident, expected, lower and upper by time, as the live pipeline's profile detector says them. */
async function live(detector: string, timeZone: string, rows: readonly (readonly [number, number])[]) {
  const profile = detector.replace('combiner-', '')
  const config = parseConfig({
    features: { step: '5m', lateness: '1ms', retention: '365d' },
    // Nobody is promoted: what `score` says is what one profile says.
    detection: { profile, combiner: profile !== detector, timeZone, memory: 0 },
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
      const line = { time, metric: 'depth', labels: { service: 'queue' }, value, type: 'gauge' }
      await pipeline.process(++position, jsonLines([line], time * 1000))
    }
    await pipeline.finish(++position)
  } finally {
    ProfileMember.prototype.score = score
    DeviationDetector.prototype.score = deviation
  }
  return { said, coarse }
}

/** Output of `score` on some clocks. */
async function scored(timeZone: string | undefined): Promise<string> {
  const rows = recording(4, Date.UTC(2023, 9, 26) / 1000)
  const [input, out] = [join(folder, 'zone.csv'), join(folder, 'zone-out.csv')]
  writeFileSync(input, `timestamp,value\n${rows.map(row => row.join(',')).join('\n')}\n`)
  expect(await scoreCommand({ input, out, step: String(STEP_S), timeZone })).toBe(0)
  return readFileSync(out, 'utf8')
}

describe('--time-zone', () => {
  it('matters where clocks are moved, and is UTC without', async () => {
    expect(await scored(undefined)).toBe(await scored('UTC'))
    expect(await scored('Europe/Berlin')).not.toBe(await scored('UTC'))
  })

  it('is refused when it is none, and for many metrics', async () => {
    const input = join(folder, 'zone.csv')
    expect(await scoreCommand({ input, timeZone: 'Mars/Olympus' })).toBe(2)
    expect(await scoreCommand({ input, timeZone: 'UTC', shape: 'multivariate' })).toBe(2)
  })
})

describe('score and the live service', () => {
  it.each([
    ['tiny', 'UTC', START_S],
    ['compact', 'UTC', START_S],
    ['full', 'UTC', START_S],
    ['combiner-tiny', 'UTC', START_S],
    ['combiner-full', 'UTC', START_S],
    // Clocks are set back on the fourth day, and forward on the fourth.
    ['tiny', 'Europe/Berlin', Date.UTC(2023, 9, 26) / 1000],
    ['full', 'America/New_York', Date.UTC(2024, 2, 7) / 1000],
  ])('say the same of every window, %s on the clocks of %s', async (profile, timeZone, startS) => {
    const rows = recording(6, startS)
    const input = join(folder, 'series.csv')
    const out = join(folder, 'out.csv')
    writeFileSync(input, `timestamp,value\n${rows.map(row => row.join(',')).join('\n')}\n`)
    expect(await scoreCommand({ input, out, detector: profile, step: String(STEP_S), timeZone })).toBe(0)
    const { said, coarse } = await live(profile, timeZone, rows)
    let opinions = 0
    let early = 0
    for (const line of readFileSync(out, 'utf8').trimEnd().split('\n').slice(1)) {
      const cells = line.split(',')
      const time = Number(cells[0])
      if (cells[3] !== '' && time < startS + DAY * STEP_S) {
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
    for (let t = 700; t < 720; t++) expect(said.get(startS + t * STEP_S) ?? ',,,,,').toBe(',,,,,')
  })
})
