// Shows an experiment from start to end on seeded pairs of scores: a challenger that sees more is promoted by verdicts,
// an equal one is not, a worse one and every kind of harm is withdrawn with its reason, audited and told; what was seen
// survives a restart without counting anything twice; and what cannot be (a second experiment of a model, an unknown
// champion, time labelled twice) is refused with a reason.
import { describe, expect, it } from 'vitest'
import { experimentSchema } from '../../src/core/experiment.ts'
import type { Experiments } from '../../src/experiments/experiments.ts'
import { PairWorld, plan, type Scorer, START_MS, STEP_MS } from './world.ts'

const GOOD: Scorer = { sight: 0.95 }
const POOR: Scorer = { sight: 0.005 }

async function labelled(
  world: PairWorld,
  all: Experiments,
  id: string,
  champion: Scorer,
  challenger: Scorer,
) {
  world.plant(2400, 40)
  world.run(2400, pair => all.observe(pair), champion, challenger)
  const answer = await all.label(id, world.labels())
  await all.tick()
  return answer
}

describe('verdicts', () => {
  it('promote a challenger that finds what the champion misses', async () => {
    const world = new PairWorld(1)
    const all = await world.open()
    const { id } = await all.start(plan(), 'ann')
    expect(world.orders).toMatchObject([{ op: 'shadow', version: 2, by: `experiment:${id}` }])
    const answer = await labelled(world, all, id, POOR, GOOD)
    expect(answer).toEqual({ taken: 59, refused: [] })
    const report = all.one(id)
    expect(report).toMatchObject({ status: 'promoted', verdict: { better: 'challenger', units: 59 } })
    expect(report?.reason).toMatch(/the challenger is better: of 59 anomalous intervals/)
    expect(report?.verdict.advantage?.lower).toBeGreaterThan(0)
    expect(world.orders.at(-1)).toMatchObject({ op: 'promote', version: 2, by: `experiment:${id}` })
    expect(world.audits.map(one => one.action)).toEqual([
      'experiment.start',
      'experiment.label',
      'experiment.promoted',
    ])
    expect(world.told.map(one => one.what)).toEqual(['started', 'promoted'])
    expect(() => experimentSchema.parse(report)).not.toThrow()
  })

  it('only say so without autoPromote, and wait until enough windows were seen', async () => {
    const world = new PairWorld(1)
    const all = await world.open()
    const { id } = await all.start(plan({ autoPromote: false, minWindows: 2500 }), 'ann')
    await labelled(world, all, id, POOR, GOOD)
    expect(world.told.map(one => one.what)).toEqual(['started'])
    world.run(200, pair => all.observe(pair), POOR, GOOD)
    await all.tick()
    await all.tick()
    expect(world.told.map(one => one.what)).toEqual(['started', 'decided'])
    expect(all.one(id)?.status).toBe('running')
    world.nowMs += 15 * 86_400_000
    await all.tick()
    expect(all.one(id)).toMatchObject({
      status: 'withdrawn',
      reason: expect.stringMatching(/someone to promote/),
    })
  })

  it('withdraw a challenger that misses more, however loud it is', async () => {
    const world = new PairWorld(2)
    const all = await world.open()
    const { id } = await all.start(plan({ guardrails: { alertRatio: 1000 } }), 'ann')
    await labelled(world, all, id, GOOD, { ...POOR, loudness: 1.4 })
    const report = all.one(id)
    expect(report).toMatchObject({ status: 'withdrawn', verdict: { better: 'champion' } })
    // Loudness is not skill: at the same budget its threshold lies as much higher.
    const { champion, challenger } = report?.verdict.threshold ?? {}
    expect(Number(challenger) / Number(champion)).toBeGreaterThan(1.2)
    expect(world.orders.at(-1)).toMatchObject({ op: 'withdraw' })
  })

  it('leave equals undecided until their time is over', async () => {
    const world = new PairWorld(3)
    const all = await world.open()
    const { id } = await all.start(plan({ maxDurationSeconds: 86_400 }), 'ann')
    await labelled(world, all, id, { sight: 0.1 }, { sight: 0.1 })
    expect(all.one(id)).toMatchObject({ status: 'running', verdict: { better: 'undecided', units: 59 } })
    world.nowMs = START_MS + 86_400_000
    await all.tick()
    expect(all.one(id)).toMatchObject({ status: 'withdrawn', reason: expect.stringMatching(/time is over/) })
  })

  it('count false alerts in normal time by the unit', async () => {
    const world = new PairWorld(4)
    const all = await world.open()
    const { id } = await all.start(plan(), 'ann')
    // What looks strange to both is normal by verdict: the challenger, which sees it, alerts falsely.
    world.plant(1200, 30)
    world.run(1200, pair => all.observe(pair), POOR, GOOD)
    await all.label(id, world.labels('normal'))
    await all.tick()
    const report = all.one(id)
    expect(report?.verdict.normal.units).toBe(39)
    expect(report?.verdict.normal.falseAlerts.challenger).toBeGreaterThan(
      report?.verdict.normal.falseAlerts.champion ?? 0,
    )
    expect(report).toMatchObject({ status: 'withdrawn', verdict: { better: 'champion' } })
  })
})

describe('statistics', () => {
  it('tell agreement, alerts, time and memory of the pair, by hour and in all', async () => {
    const world = new PairWorld(5)
    const all = await world.open()
    const { id } = await all.start(plan({ guardrails: { alertRatio: 1000 } }), 'ann')
    world.plant(2400, 40)
    world.run(2400, pair => all.observe(pair), { sight: 1, ms: 2 }, { sight: 1, ms: 5 })
    const report = all.one(id)
    expect(report).toMatchObject({ windows: 2400, rows: 2400 * 20, series: 20, seriesRefused: 0 })
    expect(report?.agreement.share).toBeGreaterThan(0.9)
    expect(report?.agreement.rankCorrelation).toBeGreaterThan(0.01)
    expect(report?.agreement.rankCorrelation).toBeLessThan(0.3)
    expect(report?.latencyMs.p50.champion).toBeCloseTo(2, 0)
    expect(report?.latencyMs.p99.challenger).toBeCloseTo(5, 0)
    expect(report?.buckets).toHaveLength(7)
    const sum = (pick: (bucket: NonNullable<typeof report>['buckets'][number]) => number) =>
      report?.buckets.reduce((total, one) => total + pick(one), 0)
    expect(sum(one => one.rows)).toBe(2400 * 20)
    expect(sum(one => one.alerts.challenger)).toBe(report?.alerts.challenger)
    expect(report?.alertsPerDay.champion).toBeCloseTo((report?.alerts.champion ?? 0) / (2399 / 8640), 6)
  })
})

describe('guardrails', () => {
  const harm: readonly (readonly [string, Scorer, RegExp])[] = [
    ['alerts everywhere', { sight: 1, loudness: 6 }, /alerts too much/],
    ['is slow', { sight: 1, ms: 180 }, /too slow: \d+ of \d+ windows took longer than 100 ms/],
    ['fails', { sight: 1, failed: 10 }, /fails: \d+ of \d+ rows without an answer/],
  ]
  for (const [name, challenger, why] of harm)
    it(`withdraw a challenger that ${name}, within minutes`, async () => {
      const world = new PairWorld(6)
      const all = await world.open()
      const { id } = await all.start(plan(), 'ann')
      for (let i = 0; i < 12 && all.one(id)?.status === 'running'; i++) {
        world.run(1, pair => all.observe(pair), GOOD, challenger)
        await all.tick()
      }
      expect(all.one(id)).toMatchObject({ status: 'withdrawn', reason: expect.stringMatching(why) })
      expect(world.challenger).toBeUndefined()
      expect(world.audits.at(-1)).toMatchObject({ who: `experiment:${id}`, action: 'experiment.withdrawn' })
      expect(world.told.at(-1)).toMatchObject({ what: 'withdrawn', why: expect.stringMatching(why) })
    })

  it('withdraw a challenger that the service has switched off, though no window tells of it', async () => {
    const world = new PairWorld(6)
    const all = await world.open()
    const { id } = await all.start(plan(), 'ann')
    world.challengerProblem = 'it gave no answer in 3 windows in a row and is switched off'
    await all.tick()
    expect(all.one(id)).toMatchObject({
      status: 'withdrawn',
      reason: 'the challenger fails: it gave no answer in 3 windows in a row and is switched off',
    })
    expect(world.challenger).toBeUndefined()
  })

  it('withdraw when memory grows, and leave a sound challenger alone', async () => {
    const world = new PairWorld(7)
    const all = await world.open()
    const { id } = await all.start(plan(), 'ann')
    world.run(1000, pair => all.observe(pair), GOOD, { ...GOOD, ms: 20 })
    await all.tick()
    expect(all.one(id)?.guardrails.map(one => one.isBroken)).toEqual([false, false, false, false])
    world.memoryBytes += 600e6
    await all.tick()
    expect(all.one(id)?.reason).toMatch(/grew by 572 MB/)
  })
})

describe('probation', () => {
  async function promoted() {
    const world = new PairWorld(1)
    const all = await world.open()
    const { id } = await all.start(plan({ probationSeconds: 600 }), 'ann')
    world.championUse = { rows: 1000, failed: 50 }
    await labelled(world, all, id, POOR, GOOD)
    expect(all.one(id)).toMatchObject({ status: 'probation', reason: expect.stringMatching(/is better/) })
    expect(world.champion).toBe(2)
    return { world, all, id }
  }

  it('keeps a promoted challenger that does well, and counts no windows any more', async () => {
    const { world, all, id } = await promoted()
    const { windows } = all.one(id) as { windows: number }
    world.run(10, pair => all.observe(pair), GOOD, GOOD)
    world.championUse = { rows: 5000, failed: 60 }
    await all.tick()
    expect(all.one(id)).toMatchObject({ status: 'probation', windows })
    world.nowMs += 600_000
    await all.tick()
    expect(all.one(id)).toMatchObject({ status: 'promoted', windows })
    expect(world.orders.map(one => one.op)).toEqual(['shadow', 'promote'])
    expect(world.told.map(one => one.what)).toEqual(['started', 'promoted'])
  })

  it('rolls back one that fails, after a restart as well', async () => {
    const { world, id } = await promoted()
    const all = await world.open()
    // The counts of the service begin anew.
    world.championUse = { rows: 900, failed: 40 }
    await all.tick()
    expect(all.one(id)).toMatchObject({
      status: 'rolledBack',
      reason: 'promoted, it failed: 40 of 940 rows without an answer',
    })
    expect(world.orders.at(-1)).toMatchObject({ op: 'rollback', by: `experiment:${id}` })
    expect(world.champion).toBe(1)
    expect(world.audits.at(-1)?.action).toBe('experiment.rolledBack')
    expect(world.told.at(-1)).toMatchObject({ what: 'rolledBack' })
  })

  it('can be cut short, and gives way to others', async () => {
    const stopped = await promoted()
    await stopped.all.stop(stopped.id, 'ann', { promote: false })
    expect(stopped.all.one(stopped.id)?.status).toBe('rolledBack')
    expect(stopped.world.champion).toBe(1)
    const kept = await promoted()
    await kept.all.stop(kept.id, 'ann', { promote: true })
    expect(kept.all.one(kept.id)?.status).toBe('promoted')
    const others = await promoted()
    others.world.champion = 9
    for (let i = 0; i < 3; i++) await others.all.tick()
    expect(others.all.one(others.id)).toMatchObject({
      status: 'promoted',
      reason: expect.stringMatching(/others have changed the model since/),
    })
    for (const { world } of [stopped, kept, others])
      expect(world.orders.map(one => one.op).filter(op => op === 'promote')).toHaveLength(1)
  })
})

describe('a restart', () => {
  it('goes on with all it had seen, and counts nothing twice', async () => {
    const whole = new PairWorld(8)
    const cut = new PairWorld(8)
    const one = await whole.open()
    let two = await cut.open()
    const { id } = await one.start(plan(), 'ann')
    await two.start(plan(), 'ann')
    for (const world of [whole, cut]) world.plant(2400, 40)
    const again: Parameters<Experiments['observe']>[0][] = []
    whole.run(2400, pair => one.observe(pair), POOR, GOOD)
    cut.run(1000, pair => two.observe(pair), POOR, GOOD)
    await two.label(id, cut.labels().slice(0, 10))
    await one.label(id, whole.labels().slice(0, 10))
    cut.run(50, pair => again.push({ ...pair, series: Uint32Array.from(pair.series) }), POOR, GOOD)
    for (const pair of again) two.observe(pair)
    await two.close()
    two = await cut.open()
    // The journal tells of the windows since its checkpoint once more.
    for (const pair of again) two.observe(pair)
    cut.run(1350, pair => two.observe(pair), POOR, GOOD)
    for (const [world, all] of [
      [whole, one],
      [cut, two],
    ] as const) {
      world.nowMs = START_MS + 2400 * STEP_MS
      await all.label(id, world.labels().slice(10))
      await all.tick()
    }
    const reports = [one, two].map(all => {
      const { buckets, windows, rows, agreement, alerts, verdict, labels, status } = all.one(id) as never
      return { buckets, windows, rows, agreement, alerts, verdict, labels, status }
    })
    expect(reports[1]).toEqual(reports[0])
    expect(reports[1]).toMatchObject({ status: 'promoted', windows: 2400 })
  })

  it('between an end and its order carries the order out, once', async () => {
    const world = new PairWorld(9)
    const all = await world.open()
    const { id } = await all.start(plan(), 'ann')
    world.orderFails = 'the registry is away'
    world.run(20, pair => all.observe(pair), GOOD, { sight: 1, loudness: 6 })
    await all.tick()
    expect(all.one(id)?.status).toBe('ending')
    expect(world.told.at(-1)).toMatchObject({
      what: 'problem',
      why: expect.stringMatching(/registry is away/),
    })
    world.orderFails = undefined
    const after = await world.open()
    await after.tick()
    await after.tick()
    expect(after.one(id)?.status).toBe('withdrawn')
    expect(world.orders.map(one => one.op)).toEqual(['shadow', 'withdraw'])
    expect((await world.open()).list().map(one => one.status)).toEqual(['withdrawn'])
  })

  it('that is not carried out yet gives way to who stops it by hand, but for the same end', async () => {
    const ending = async (champion: Scorer, challenger: Scorer) => {
      const world = new PairWorld(1)
      const all = await world.open()
      const { id } = await all.start(plan(), 'ann')
      world.orderFails = 'the registry is away'
      await labelled(world, all, id, champion, challenger)
      expect(all.one(id)?.status).toBe('ending')
      world.orderFails = undefined
      return { world, all, id, why: all.one(id)?.reason }
    }
    const better = await ending(POOR, GOOD)
    const stopped = await better.all.stop(better.id, 'bob', { promote: false })
    expect(stopped).toMatchObject({ status: 'stopped', reason: 'stopped by bob' })
    expect(better.world.orders.map(one => one.op)).toEqual(['shadow', 'withdraw'])
    expect(better.world.champion).toBe(1)
    const worse = await ending(GOOD, POOR)
    expect(await worse.all.stop(worse.id, 'bob', { promote: true })).toMatchObject({ status: 'promoted' })
    expect(worse.world.orders.map(one => one.op)).toEqual(['shadow', 'promote'])
    const same = await ending(GOOD, POOR)
    const withdrawn = await same.all.stop(same.id, 'bob', { promote: false })
    expect(withdrawn).toMatchObject({ status: 'withdrawn', reason: same.why })
  })

  it('gives up after many failed orders, and says so', async () => {
    const world = new PairWorld(9)
    const all = await world.open()
    const { id } = await all.start(plan(), 'ann')
    world.orderFails = 'the registry is away'
    await expect(all.stop(id, 'ann', { promote: false })).rejects.toThrow(/registry is away/)
    for (let i = 0; i < 40; i++) {
      world.nowMs += 10_000
      await all.tick()
    }
    expect(all.one(id)).toMatchObject({
      status: 'stopped',
      reason: expect.stringMatching(/but the registry is away/),
    })
    expect(world.told.filter(one => one.what === 'problem')).toHaveLength(1)
  })
})

describe('what others do', () => {
  it('ends an experiment when someone promotes another version meanwhile', async () => {
    const world = new PairWorld(10)
    const all = await world.open()
    const { id } = await all.start(plan(), 'ann')
    world.champion = 7
    for (let i = 0; i < 3; i++) await all.tick()
    expect(all.one(id)).toMatchObject({
      status: 'stopped',
      reason: expect.stringMatching(/others have changed the model meanwhile: champion 7, challenger 2/),
    })
    expect(world.orders).toHaveLength(1)
  })

  it('stops or promotes by hand', async () => {
    const world = new PairWorld(11)
    const all = await world.open()
    const first = await all.start(plan({ mode: 'canary', share: 0.25 }), 'ann')
    expect(world.orders[0]).toMatchObject({ op: 'canary', share: 0.25 })
    await all.stop(first.id, 'bob', { promote: false, why: 'lunch' })
    expect(all.one(first.id)).toMatchObject({ status: 'stopped', reason: 'lunch' })
    world.nowMs += 1000
    const second = await all.start(plan(), 'ann')
    expect(await all.stop(second.id, 'bob', { promote: true })).toMatchObject({ status: 'promoted' })
    expect(world.orders.map(one => one.op)).toEqual(['canary', 'withdraw', 'shadow', 'promote'])
    expect(all.list().map(one => one.id)).toEqual([second.id, first.id])
  })

  it('refuses what cannot be, naming the field', async () => {
    const world = new PairWorld(12)
    const all = await world.open()
    await expect(all.start(plan({ model: 'nobody' }), 'ann')).rejects.toThrow(/nobody has no champion/)
    await expect(all.start(plan({ champion: 5 }), 'ann')).rejects.toThrow(/champion: version 1 is, not 5/)
    await expect(all.start(plan({ challenger: 1 }), 'ann')).rejects.toThrow(/challenger: version 1/)
    world.orderFails = 'version 2 is unknown'
    await expect(all.start(plan(), 'ann')).rejects.toThrow(/version 2 is unknown/)
    expect(world.store.kept.size).toBe(0)
    world.orderFails = undefined
    const { id } = await all.start(plan(), 'ann')
    await expect(all.start(plan(), 'ann')).rejects.toThrow(`experiment ${id}`)
    await expect(all.stop('exp_0', 'ann', { promote: false })).rejects.toThrow(/no experiment/)
    world.plant(400, 40)
    const [label] = world.labels()
    const same = { ...label, by: 'bob' }
    const series = {
      ...label,
      of: 'series' as const,
      name: 'm0{service="s1"}',
      fromMs: label.fromMs - 60_000,
    }
    const backward = { ...label, toMs: label.fromMs }
    const long = { ...label, name: 's9', kind: 'normal' as const, toMs: label.fromMs + 1001 * 60_000 }
    const { taken, refused } = await all.label(id, [label, same, series, backward, long])
    expect(taken).toBe(1)
    expect(refused.map(one => [one.index, one.reason.slice(0, 24)])).toEqual([
      [1, 'it overlaps what ann cal'],
      [2, 'it overlaps what ann cal'],
      [3, 'to: must be later than f'],
      [4, 'from, to: normal time of'],
    ])
    await all.stop(id, 'ann', { promote: false })
    await expect(all.label(id, [label])).rejects.toThrow(/is over/)
  })

  it('does not judge by time that both did not see', async () => {
    const world = new PairWorld(13)
    const all = await world.open()
    world.plant(40, 10)
    const { id } = await all.start(plan({ alertsPerSeriesWeek: 1000 }), 'ann')
    await all.label(
      id,
      world.labels().map(one => ({ ...one, fromMs: one.fromMs - 1e7, toMs: one.toMs - 1e7 })),
    )
    await all.label(id, [{ ...world.labels()[0], name: 'unknown' }])
    world.run(400, pair => all.observe(pair), GOOD, GOOD)
    await all.tick()
    expect(all.one(id)?.verdict).toMatchObject({ units: 0, unitsVoid: 4, unitsWaiting: 0 })
  })
})
