// Shows rules, budgets and the calendar on the live ensemble: precedence field by field, direction and least moves, what
// is ignored, what a suppressed window leaves undone, a day compared with another, daily shapes on local clocks across
// both changes of the year, and budgets that are kept, shared and told. A restart in between changes nothing.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { type CalendarEntry, timesOf } from '../../src/core/calendar.ts'
import { LocalTime } from '../../src/core/local-time.ts'
import { recurrenceOf } from '../../src/core/recurrence.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { Rulings } from '../../src/detectors/alert-rules.ts'
import { profileMembers } from '../../src/detectors/profile-member.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'
import { metaOf, opened, PolicyWorld, START_MS } from './policy-world.ts'

const DAY = 1440
const span = (from: string, to: string, zone = 'UTC', every?: string) => {
  const times = timesOf(from, to, zone)
  const rule = every === undefined ? undefined : recurrenceOf(every)
  if (typeof times === 'string' || typeof rule === 'string') throw new Error(String(rule ?? times))
  return rule === undefined ? times : { ...times, rule }
}
const noisy = (random: () => number, level: number) => level + 10 * gaussian(random)

describe('rules', () => {
  it('are taken field by field: series before group before metric, then the one that names more', () => {
    const rulings = new Rulings({
      rules: [
        { metric: 'lat*', direction: 'up', refractoryMs: 1, openSurprise: 9 },
        { group: 'pay*', direction: 'both', openSurprise: 5 },
        { series: 'latency{service="payments"}', budget: 3 },
        { group: { service: 'pay*', zone: 'eu' }, direction: 'down' },
      ],
      budgets: [{ name: 'team', alertsPerWeek: 2, group: { team: 'a' } }],
      budget: 7,
      events: [],
    })
    const of = (entity: string, labels = {}) => rulings.all[rulings.of(metaOf('latency', entity, { labels }))]
    expect(of('payments')).toMatchObject({
      direction: 'both',
      openSurprise: 5,
      refractoryMs: 1,
      budget: { alertsPerWeek: 3, isShared: false },
    })
    expect(of('paypal', { zone: 'eu' })).toMatchObject({
      direction: 'down',
      openSurprise: 5,
      rules: [0, 1, 3],
    })
    expect(of('cart', { team: 'a' })).toMatchObject({
      direction: 'up',
      budget: { name: 'team', isShared: true },
    })
    expect(of('cart')).toMatchObject({ budget: { name: 'entity', alertsPerWeek: 7 } })
  })

  it('set direction, least move and what is ignored, and leave other series alone', async () => {
    const metas = ['plain', 'up', 'far', 'ignored', 'good'].map(name =>
      metaOf(name, 'e', name === 'good' ? { bad: 'up' } : {}),
    )
    const world = new PolicyWorld(metas, {
      rules: [
        { metric: 'up', direction: 'up' },
        { metric: 'far', atLeast: { down: { absolute: 80 } } },
        { metric: 'ignored', ignore: true },
        { metric: 'good', direction: 'down' },
        { metric: 'none*', budget: 1 },
      ],
    })
    const random = mulberry32(1)
    const fall = await world.drive(0, 300, (_, t) => noisy(random, t < 280 ? 200 : 140))
    const names = (told: typeof fall) => [...new Set(opened(told).map(one => one.metric))].sort()
    expect(names(fall)).toEqual(['good', 'plain'])
    expect(fall.some(({ anomaly }) => anomaly.metric === 'good' && anomaly.severity !== 'warning')).toBe(true)
    const row = metas.findIndex(meta => meta.metric === 'ignored')
    expect(world.out.evidence[row]).toBe(0)
    expect(world.out.surprise[row]).toBeGreaterThan(1)
    const jump = await world.drive(1300, 1320, (_, t) => noisy(random, t < 1300 ? 140 : 900))
    // `plain` has its anomaly open still.
    expect(names(jump)).toEqual(['far', 'up'])
    expect(world.ensemble.alerting()?.rules.map(rule => rule.series)).toEqual([1, 1, 1, 1, 0])
  })

  it('rest as long as they say, unless it is much louder', async () => {
    const run = async (refractoryMs: number | undefined, second: number) => {
      const world = new PolicyWorld([metaOf('m', 'e')], { rules: [{ metric: 'm', refractoryMs }] })
      const random = mulberry32(5)
      const level = (t: number) => (t >= 2000 && t < 2004 ? 145 : t >= 2040 && t < 2046 ? second : 100)
      const told = await world.drive(0, 2100, (_, t) => noisy(random, level(t)))
      return opened(told).filter(one => one.t >= 2000)
    }
    const [none, long, loud] = [
      await run(undefined, 165),
      await run(7_200_000, 165),
      await run(7_200_000, 1e6),
    ]
    expect(none.map(one => one.t >= 2040)).toEqual([false, true])
    expect(long.map(one => one.t >= 2040)).toEqual([false])
    expect(loud.map(one => one.t >= 2040)).toEqual([false, true])
  })
})

describe('budgets', () => {
  it('are kept on noise, priced by how many share them, and told', async () => {
    const metas = Array.from({ length: 40 }, (_, i) =>
      metaOf(`m${i % 4}`, `e${Math.floor(i / 4)}`, { labels: i < 20 ? { team: 'a' } : {} }),
    )
    const world = new PolicyWorld(metas, {
      budget: 7,
      budgets: [{ name: 'a', alertsPerWeek: 7, group: { team: 'a' } }],
    })
    const random = mulberry32(2)
    const reports = () => {
      const report = world.ensemble.alerting()?.budgets ?? []
      return [report.find(one => one.name === 'a'), report.find(one => one.name === 'entity')] as const
    }
    await world.drive(0, 1, () => noisy(random, 100))
    const [teamAtFirst, entityAtFirst] = reports()
    expect(teamAtFirst?.openSurpriseLeast).toBeCloseTo(Math.log10((10_080 * 20) / 7), 6)
    expect(entityAtFirst?.openSurpriseLeast).toBeCloseTo(Math.log10((10_080 * 4) / 7), 6)
    const told = opened(await world.drive(1, 7 * DAY, () => noisy(random, 100)))
    const [team, entity] = reports()
    expect(team).toMatchObject({ promisedPerWeek: 7, pools: 1, series: 20, each: 'budget' })
    expect(entity).toMatchObject({ promisedPerWeek: 35, pools: 5, series: 20, each: 'entity' })
    const ofTeam = told.filter(one => one.labels.team === 'a').length
    expect(ofTeam).toBeLessThanOrEqual(10)
    expect(told.length - ofTeam).toBeLessThanOrEqual(35)
    expect(team?.achievedPerWeek).toBe(ofTeam)
  }, 30_000)

  it('hold a pool back that overspent, and let it go as weeks pass', async () => {
    const world = new PolicyWorld([metaOf('m', 'e')], { budget: 1 }, { stepMs: 600_000 })
    const random = mulberry32(3)
    const week = 7 * 144
    const price = () => world.ensemble.alerting()?.budgets[0].openSurpriseLeast ?? 0
    await world.drive(0, 10, () => noisy(random, 100))
    const fair = price()
    await world.drive(10, 4 * week, (_, t) => (t % 72 < 4 && t > 500 ? 1e5 * t * t : noisy(random, 100)))
    expect(world.ensemble.alerting()?.budgets[0].achievedPerWeek).toBeGreaterThan(2)
    const held = price()
    expect(held).toBeGreaterThan(fair + 0.3)
    await world.drive(4 * week, 9 * week, () => noisy(random, 100))
    // A quarter of an order a week at one alert a week.
    expect(price()).toBeCloseTo(held - 5 * 0.25, 1)
  })

  it('count an entity that has one open once, and go on after a restart as if there had been none', async () => {
    const metas = ['a', 'b', 'c'].map(name => metaOf(name, 'e'))
    const make = () => new PolicyWorld(metas, { budget: 20 })
    const value = (random: () => number) => (_: number, t: number) =>
      noisy(random, t >= 400 && t < 440 ? 300 : 100)
    const whole = make()
    const random = mulberry32(4)
    const told = opened(await whole.drive(0, 420, value(random)))
    expect(told.filter(one => one.t >= 400).length).toBe(3)
    expect(whole.ensemble.alerting()?.budgets[0].achievedPerWeek).toBe(
      1 + told.filter(one => one.t < 400).length,
    )
    const other = whole.restoreInto(make())
    const [one, two] = [mulberry32(6), mulberry32(6)]
    expect(await other.drive(420, 600, value(one))).toEqual(await whole.drive(420, 600, value(two)))
    expect(other.ensemble.alerting()).toEqual(whole.ensemble.alerting())
  })

  it('count the next alert of an entity whose open one was let go at the end of a history', async () => {
    const world = new PolicyWorld([metaOf('m', 'e')], { budget: 20 })
    const random = mulberry32(7)
    const spent = () => world.ensemble.alerting()?.budgets[0].achievedPerWeek ?? 0
    const value = (t: number) => noisy(random, t >= 400 && t % 400 < 10 ? 1000 : 100)
    expect(opened(await world.drive(0, 405, (_, t) => value(t))).some(one => one.t >= 400)).toBe(true)
    world.ensemble.letGo()
    await world.drive(405, 790, (_, t) => value(t))
    const before = spent()
    const told = opened(await world.drive(790, 830, (_, t) => value(t)))
    expect(told).toHaveLength(1)
    expect(spent() - before).toBe(1)
  })
})

describe('a calendar entry', () => {
  const entry = (times: CalendarEntry['times']): CalendarEntry => ({
    name: 'load test',
    times,
    effect: 'suppress',
    metric: 'm',
  })

  it('lets nothing open, teaches nothing and is counted, while scores go on', async () => {
    const at = entry(span('2026-03-02T10:00', '2026-03-02T11:00'))
    const make = (calendar: CalendarEntry[]) =>
      new PolicyWorld(
        [metaOf('m', 'e'), metaOf('other', 'e')],
        { calendar, rules: [{ metric: 'x', budget: 1 }] },
        { profile: 'tiny' },
      )
    const world = make([at])
    const [random, again] = [mulberry32(7), mulberry32(7)]
    const value = (r: () => number) => (_: number, t: number) => noisy(r, t >= 600 && t < 660 ? 900 : 100)
    const told = opened(await world.drive(0, 650, value(random))).filter(one => one.t >= 600)
    expect(told.map(one => one.metric)).toEqual(['other'])
    expect(world.out.surprise[0]).toBeGreaterThan(3)
    expect(world.out.evidence[0]).toBe(0)
    expect(world.ensemble.alerting()?.calendar[0]).toMatchObject({ series: 1, isOn: true, windows: 50 })
    await world.drive(650, 661, value(random))
    // Nothing was learned: expectation and band are what they were before the hour.
    expect(world.out.expected[0]).toBeGreaterThan(90)
    expect(world.out.expected[0]).toBeLessThan(110)
    const free = make([])
    await free.drive(0, 661, value(again))
    expect(free.out.upper[0] - free.out.lower[0]).toBeGreaterThan(
      1.5 * (world.out.upper[0] - world.out.lower[0]),
    )
  })

  it('compares a holiday with a Sunday', async () => {
    const weekly = (t: number) => {
      const day = Math.floor(t / 48) % 7
      const hour = (t % 48) / 2
      const busy = day < 5 ? 400 : 80
      return t >= 21 * 48 + 48 && t < 21 * 48 + 96 ? 80 : busy * (1 + 0.3 * Math.sin((hour / 12) * Math.PI))
    }
    const holiday: CalendarEntry = {
      name: 'holiday',
      times: span('2026-03-24', '2026-03-24'),
      effect: 'like',
      like: 0,
    }
    const loudest = async (calendar: CalendarEntry[]) => {
      const world = new PolicyWorld(
        [metaOf('m', 'e')],
        { calendar, rules: [{ metric: 'x', budget: 1 }] },
        { stepMs: 1_800_000, profile: 'compact' },
      )
      const random = mulberry32(8)
      const value = (_: number, t: number) => weekly(t) + 4 * gaussian(random)
      await world.drive(0, 21 * 48 + 48, value)
      let loud = 0
      for (let t = 21 * 48 + 48; t < 21 * 48 + 96; t++) {
        await world.step(t, () =>
          t >= 22 * 48 && t < 23 * 48 ? 80 * (1 + 0.3 * Math.sin(((t % 48) / 24) * Math.PI)) : value(0, t),
        )
        loud = Math.max(loud, world.out.surprise[0])
      }
      // A fault on the holiday itself is no Sunday either.
      await world.step(21 * 48 + 96 - 48 + 47, () => 2000)
      return { loud, fault: world.out.point[0], expected: world.out.expected[0] }
    }
    const [with_, without] = [await loudest([holiday]), await loudest([])]
    expect(with_.loud).toBeLessThan(without.loud)
    expect(with_.loud).toBeLessThan(2.5)
    expect(with_.fault).toBeGreaterThan(2.5)
  })
})

describe('daily shapes on local clocks', () => {
  // A job of half an hour at 06:00 local time; the change of clocks falls into the fourth week.
  /** Loudest evidence of the shape itself at the job and an hour around it: in the week before the change, and after. */
  const run = async (zone: string, startMs: number, profile: 'tiny' | 'compact' | 'full') => {
    const clock = new LocalTime('Europe/Berlin')
    const stepMs = 600_000
    const series = new SeriesTable(1)
    series.intern(metaOf('m', 'e'))
    const [member] = profileMembers({ series, stepMs, localTime: new LocalTime(zone) }, profile, [])
    const batch = featureBatch(1, 0)
    const out = scoreBatch(1)
    batch.length = 1
    batch.coverage[0] = 1
    const weight = new Float32Array([1])
    const random = mulberry32(9)
    const loudest = { before: 0, after: 0 }
    for (let t = 0; t < 144 * 29; t++) {
      const local = clock.localMs(startMs + t * stepMs)
      const minute = (((local / 60_000) % 1440) + 1440) % 1440
      batch.windowEndMs[0] = startMs + (t + 1) * stepMs
      batch.observed[0] = (minute >= 360 && minute < 390 ? 900 : 100) + 10 * gaussian(random)
      await member.score(batch, out)
      member.learn(batch, weight)
      if (minute < 290 || minute >= 460 || t < 144 * 14) continue
      const when = clock.offsetMs(startMs) === clock.offsetMs(startMs + t * stepMs) ? 'before' : 'after'
      loudest[when] = Math.max(loudest[when], out.point[0])
    }
    return loudest
  }
  for (const [season, startMs] of [
    ['spring', Date.UTC(2026, 2, 7)],
    ['autumn', Date.UTC(2026, 9, 3)],
  ] as const) {
    for (const profile of ['tiny', 'compact', 'full'] as const) {
      it(`(${profile}) does not flag a job at 06:00 after clocks change in ${season}`, async () => {
        const local = await run('Europe/Berlin', startMs, profile)
        const utc = await run('UTC', startMs, profile)
        // 2 is where point evidence pages as shipped.
        expect(Math.max(local.before, local.after)).toBeLessThan(2)
        expect(utc.after).toBeGreaterThan(3 * local.after)
      })
    }
  }

  it('are learned anew on other clocks, and kept on the same', async () => {
    const metas = [metaOf('m', 'e')]
    const make = (timeZone: string) =>
      new PolicyWorld(metas, { timeZone }, { stepMs: 1_800_000, profile: 'tiny' })
    const world = make('Europe/Berlin')
    const random = mulberry32(10)
    await world.drive(0, 48 * 4, (_, t) => noisy(random, 100 + (t % 48)))
    const tiny = (of: PolicyWorld) =>
      of.ensemble.snapshot().find(part => part.id === 'profile@1')?.columns['tiny.n'][0]
    expect(tiny(world)).toBe(48 * 4)
    expect(tiny(world.restoreInto(make('Europe/Berlin')))).toBe(48 * 4)
    expect(tiny(world.restoreInto(make('Asia/Tokyo')))).toBeUndefined()
  })
})

describe('an anomaly ends', () => {
  const shapes: Readonly<Record<string, (t: number, random: () => number) => number>> = {
    'a step that stays': (t, r) => noisy(r, t < 1500 ? 100 : 1000),
    'a step to a constant': t => (t < 1500 ? 100 + (t % 7) : 1000),
    'stuck at 100 %': (t, r) => (t < 1500 ? 50 + 10 * gaussian(r) : 100),
    'gone for good': (t, r) => (t < 1500 ? noisy(r, 100) : Number.NaN),
  }
  for (const profile of ['none', 'tiny'] as const) {
    for (const [name, shape] of Object.entries(shapes)) {
      it(`(${name}, ${profile}) within a day, and does not come back for the same`, async () => {
        const world = new PolicyWorld([metaOf('m', 'e')], undefined, { profile })
        const random = mulberry32(11)
        const told = await world.drive(0, 1500 + 3 * DAY, (_, t) => shape(t, random))
        const first = told.findIndex(one => one.event === 'opened' && one.t >= 1500)
        const rest = told.slice(first).filter(one => one.event !== 'updated')
        expect(rest.map(one => one.event)).toEqual(['opened', 'closed'])
        expect(rest[1].t - rest[0].t).toBeLessThanOrEqual(DAY + 5)
        expect(world.ensemble.anomalies()).toEqual([])
      })
    }
  }

  it('and the same series opens again for what is new', async () => {
    const world = new PolicyWorld([metaOf('m', 'e')], undefined)
    const random = mulberry32(12)
    const level = (t: number) => (t < 500 ? 50 : t < 500 + DAY + 200 ? 100 : t < 2400 ? 50 : 400)
    const told = opened(
      await world.drive(0, 2450, (_, t) => (level(t) === 100 ? 100 : noisy(random, level(t)))),
    )
    expect(told.some(one => one.t >= 500 && one.t < 520)).toBe(true)
    expect(told.some(one => one.t >= 2400)).toBe(true)
  })
})

it('nothing configured is nothing changed', async () => {
  const metas = ['a', 'b'].map(name => metaOf(name, 'e'))
  const [random, again] = [mulberry32(13), mulberry32(13)]
  const value = (r: () => number) => (_: number, t: number) => noisy(r, t % 400 > 380 ? 200 : 100)
  const plain = await new PolicyWorld(metas, undefined).drive(0, 2000, value(random))
  const empty = await new PolicyWorld(metas, {}).drive(0, 2000, value(again))
  expect(empty).toEqual(plain)
  expect(plain.length).toBeGreaterThan(4)
  expect(START_MS % 86_400_000).toBe(0)
})
