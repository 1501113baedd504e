// Shows what detectors without a time of day make of series whose daily shape is known, on seeded worlds at five-minute
// windows through the whole ensemble: what comes every day is neither alert nor evidence from the second day on, what
// does not come every day stays as loud and as fast as it was, what is missing is an anomaly but no evidence, and
// before a day has passed nothing at all is different. State goes on after a restore, even in a shape on other clocks.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { timesOf } from '../../src/core/calendar.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import { DayLens } from '../../src/detectors/day-lens.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'
import { metaOf, opened, PolicyWorld, START_MS } from './policy-world.ts'

const STEP_MS = 300_000
const HOUR = 12
const DAY = 24 * HOUR
const DAYS = 7
/** Evidence that counts, and what quiet series stay below. */
const OPENS = 2
const QUIET = 1.2

type Shape = (day: number, hour: number, noise: number) => number
const isJob = (hour: number) => hour >= 6 && hour < 6.5
const job = (hour: number) => (isJob(hour) ? 50 : 0)
const swing = (hour: number) => 40 * Math.sin((2 * Math.PI * hour) / 24)

const WORLDS = {
  flat: (_, __, e) => 20 + e,
  daily: (_, h, e) => 20 + e + job(h),
  offGrid: (_, h, e) => 20 + e + job(h - 0.2),
  restless: (d, h, e) => 20 + e + job(h - ((d * 7) % 3) / HOUR),
  weekdays: (d, h, e) => 20 + e + (d < 5 ? job(h) : 0),
  sine: (_, h, e) => 100 + swing(h) + 2 * e,
  workingWeek: (d, h, e) => (d < 5 ? 100 + Math.max(0, swing(h - 6)) : 100) + 3 * e,
  missing: (d, h, e) => 20 + e + (d === 5 ? 0 : job(h)),
  twice: (d, h, e) => 20 + e + (d === 5 ? 2 : 1) * job(h),
  late: (d, h, e) => 20 + e + job(d === 5 ? h - 1 : h),
  outage: (d, h, e) => (d === 5 && h >= 10 && h < 11 ? 5 + e : 100 + swing(h) + 2 * e),
  duringJob: (d, h, e) => 20 + e + job(h) + (d === 5 && h >= 6.2 && h < 7 ? 150 : 0),
  afternoon: (d, h, e) => 20 + e + job(h) + (d === 5 && h >= 13 && h < 14 ? 10 : 0),
  alone: (d, h, e) => 20 + e + (d === 5 && h >= 13 && h < 14 ? 10 : 0),
  once: (d, h, e) => 20 + e + (d === 0 && h >= 14 && h < 16 ? 50 : 0),
} as const satisfies Record<string, Shape>
type Name = keyof typeof WORLDS
const NAMES = Object.keys(WORLDS) as Name[]

interface Seen {
  /** Largest mean evidence of three windows by day, which is what opens disruptions. */
  readonly evidence: number[]
  /** Window of the day, from ten o'clock on, at which it first reached what opens. */
  readonly reachedAt: number[]
  readonly anomalies: { day: number; hour: number }[]
}

/** `isTimed` false: the detectors are given values as they are, as before. */
async function runAll(isTimed: boolean): Promise<Record<Name, Seen>> {
  const seen = Object.fromEntries(
    NAMES.map(name => [
      name,
      { evidence: Array(DAYS).fill(0), reachedAt: Array(DAYS).fill(Infinity), anomalies: [] },
    ]),
  ) as unknown as Record<Name, Seen>
  const metas = NAMES.map(name => metaOf(name, name))
  const world = new PolicyWorld(metas, undefined, { stepMs: STEP_MS, profile: isTimed ? 'tiny' : 'none' })
  const noises = NAMES.map((_, i) => mulberry32(i + 1))
  const recent = NAMES.map(() => [0, 0, 0])
  for (let t = 0; t < DAYS * DAY; t++) {
    const day = Math.floor(t / DAY)
    const hour = (t % DAY) / HOUR
    const value = (row: number) => WORLDS[NAMES[row]](day, hour, gaussian(noises[row]))
    for (const { series } of opened((await world.step(t, value)).map(change => ({ ...change, t }))))
      seen[NAMES[series]].anomalies.push({ day, hour })
    for (const [row, name] of NAMES.entries()) {
      recent[row] = [world.out.evidence[row], recent[row][0], recent[row][1]]
      const mean = (recent[row][0] + recent[row][1] + recent[row][2]) / 3
      const { evidence, reachedAt } = seen[name]
      if (mean > evidence[day]) evidence[day] = mean
      if (mean >= OPENS && hour >= 10 && reachedAt[day] === Infinity) reachedAt[day] = t % DAY
    }
  }
  return seen
}

describe('a series whose daily shape is known', async () => {
  const timed = await runAll(true)
  const before = await runAll(false)
  const later = (name: Name, from = 1) => Math.max(...timed[name].evidence.slice(from))

  it.each(['daily', 'offGrid', 'weekdays', 'sine', 'workingWeek', 'flat'] as const)(
    '(%s) gives no evidence from the second day on',
    name => {
      expect(later(name)).toBeLessThan(QUIET)
    },
  )

  it('gives none of a job that moves by minutes, once three days have shown it', () => {
    expect(later('restless', 3)).toBeLessThan(QUIET)
  })

  it('did so every day before: the worlds are not too easy', () => {
    for (const name of ['daily', 'offGrid', 'restless'] as const)
      expect(Math.min(...before[name].evidence)).toBeGreaterThan(OPENS)
  })

  it.each(['daily', 'offGrid', 'sine', 'flat'] as const)('(%s) opens nothing from the third day on', name => {
    expect(timed[name].anomalies.filter(one => one.day >= 2)).toEqual([])
  })

  it.each(['outage', 'duringJob', 'afternoon', 'twice', 'late'] as const)(
    '(%s) speaks as loud as before of what does not come every day',
    name => {
      // What the job itself was worth before is no measure of an afternoon without it.
      const then = before[name === 'afternoon' ? 'alone' : name].evidence[5]
      const now = timed[name].evidence[5]
      expect(now).toBeGreaterThan(OPENS)
      expect(now).toBeGreaterThan(0.6 * then)
      expect(timed[name].anomalies.filter(one => one.day === 5).length).toBeGreaterThan(0)
    },
  )

  it.each(['outage', 'afternoon'] as const)('(%s) and as fast', name => {
    expect(timed[name].reachedAt[5]).toBeLessThanOrEqual(before[name].reachedAt[5])
  })

  it('says that the usual is missing, but has no evidence of it', () => {
    expect(timed.missing.evidence[5]).toBeLessThan(QUIET)
    expect(timed.missing.anomalies.some(one => one.day === 5 && one.hour >= 6 && one.hour < 7)).toBe(true)
  })

  it('does not miss an incident of yesterday', () => {
    expect(later('once')).toBeLessThan(QUIET)
  })
})

it('changes nothing at all before a day has passed', async () => {
  const worlds = (['tiny', 'none'] as const).map(
    profile => new PolicyWorld([metaOf('m', 'e')], undefined, { stepMs: STEP_MS, profile }),
  )
  for (let t = 0; t < DAY - 1; t++) {
    const value = 20 + gaussian(mulberry32(t)) + job((t % DAY) / HOUR)
    for (const world of worlds) await world.step(t, () => value)
    const [with_, without] = worlds.map(({ out }) => [
      ...out.evidence,
      ...out.point,
      ...out.incident,
      ...out.expected,
    ])
    expect(with_[0]).toBe(without[0])
    // Three voices are fused from tables, two from others.
    for (const [i, value] of with_.entries()) expect(Math.abs(value - without[i])).not.toBeGreaterThan(1e-3)
  }
})

it('learns the rows of a window that the calendar leaves, and nothing of those it suppresses', async () => {
  const from = (DAYS - 5) * DAY
  const at = (t: number) => new Date(START_MS + t * STEP_MS).toISOString().slice(0, 16)
  const times = timesOf(at(from), at(from + HOUR), 'UTC')
  if (typeof times === 'string') throw new Error(times)
  const calendar = [{ name: 'load test', times, effect: 'suppress', metric: 'kept' } as const]
  const world = new PolicyWorld(
    [metaOf('kept', 'e'), metaOf('free', 'e')],
    { calendar },
    { stepMs: STEP_MS, profile: 'tiny' },
  )
  const random = mulberry32(9)
  const value = (_: number, t: number) => 100 + swing((t % DAY) / HOUR) + gaussian(random)
  const stateOf = () => {
    const { columns } = world.ensemble.snapshot().find(part => part.id === 'day-lens') as Snapshot
    return [0, 1].map(row => [columns.anchor[row], columns.own[row], columns.center[row]])
  }
  await world.drive(0, from, value)
  const before = stateOf()
  await world.drive(from, from + HOUR, value)
  const during = stateOf()
  expect(during[0]).toEqual(before[0])
  expect(during[1]).not.toEqual(before[1])
  await world.drive(from + HOUR, from + 2 * HOUR, value)
  expect(stateOf()[0]).not.toEqual(before[0])
  expect(Math.max(...world.out.evidence)).toBeLessThan(QUIET)
})

describe('the values without their shape', () => {
  /** One series that swings daily, whose shape is known from window `from` on and lost where `isLost`. */
  async function run(from: number, isLost: (t: number) => boolean, restartAt = -1) {
    const series = new SeriesTable()
    series.intern(testSeries('m'))
    const context = { series, stepMs: STEP_MS }
    const source = { shape: new Float64Array(1), slack: new Float64Array(1) }
    let lens = new DayLens(source, context)
    let level = new DeviationDetector(context)
    const batch = featureBatch(1, 0)
    const out = scoreBatch(1)
    batch.length = 1
    const values: number[] = []
    const scores: number[] = []
    for (let t = 0; t < 4 * DAY; t++) {
      if (t === restartAt) {
        const saved = [lens.snapshot(), level.snapshot()]
        lens = new DayLens(source, context)
        level = new DeviationDetector(context)
        lens.restore(saved[0])
        level.restore(saved[1])
      }
      batch.windowEndMs[0] = (t + 1) * STEP_MS
      batch.observed[0] = 1000 + 40 * Math.sin((2 * Math.PI * t) / DAY) + gaussian(mulberry32(t))
      source.shape[0] = t < from || isLost(t) ? Number.NaN : 1000 + 40 * Math.sin((2 * Math.PI * t) / DAY)
      lens.prepare(batch)
      const view = lens.look(batch)
      values.push(view.observed[0])
      await level.score(view, out)
      scores.push(out.score[0])
      lens.putBack(batch, out, true)
      level.learn(view, Float32Array.of(1))
      lens.learn(batch, Float32Array.of(1))
    }
    return { values, scores, bytes: lens.bytes() }
  }
  const step = (values: readonly number[], t: number) => Math.abs(values[t] - values[t - 1])

  it('go on without a step where the shape becomes known, at whatever hour', async () => {
    for (const from of [DAY, DAY + 6 * HOUR, DAY + 15 * HOUR]) {
      const { values, scores } = await run(from, () => false)
      expect(step(values, from)).toBeLessThan(6)
      expect(step(values, from + 1)).toBeLessThan(6)
      expect(Math.max(...scores.slice(from))).toBeLessThan(6)
    }
  })

  it('hold their place where the shape is lost for a while', async () => {
    const [from, to] = [2 * DAY + 3 * HOUR, 2 * DAY + 5 * HOUR]
    const { values } = await run(DAY, t => t >= from && t < to)
    for (const t of [from, from + 1, to, to + 1]) expect(step(values, t)).toBeLessThan(8)
  })

  it('are the same after a restart', async () => {
    const [plain, restarted] = [await run(DAY, () => false), await run(DAY, () => false, 3 * DAY - 50)]
    expect(restarted).toEqual(plain)
  })
})
