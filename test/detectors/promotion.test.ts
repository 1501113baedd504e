// Shows that a series keeps what it learned when its memory profile changes: its next window has an opinion, its
// opinions agree with those of a series that had the larger profile from the start, a copy restored in mid-course goes
// on alike, the budget is never exceeded whatever happens, and what a demotion frees is free.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { ProfileRule } from '../../src/detectors/profile-choice.ts'
import { type ProfileMember, profileMembers } from '../../src/detectors/profile-member.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const STEP_MS = 300_000
const DAY = 288
const MIB = 1_048_576
const START_MS = Date.UTC(2026, 0, 5)

type Value = (t: number, random: () => number) => number
const daily: Value = (t, random) => 100 + 30 * Math.sin((2 * Math.PI * t) / DAY) + gaussian(random)

/** Series of stated kinds before one member, window by window. */
class World {
  readonly table = new SeriesTable(256)
  readonly member: ProfileMember
  readonly batch = featureBatch(256, 0)
  readonly out = scoreBatch(256)
  readonly weight = new Float32Array(256).fill(1)
  readonly #randoms: (() => number)[]
  t = 0

  readonly value: Value

  constructor(
    kinds: readonly MetricKind[],
    budgetBytes: number,
    rules: readonly ProfileRule[] = [],
    value: Value = daily,
  ) {
    this.value = value
    for (const [i, kind] of kinds.entries()) this.table.intern(testSeries(`s${i}`, kind))
    this.#randoms = kinds.map((_, i) => mulberry32(i + 1))
    this.member = profileMembers(this.context, 'tiny', rules, { budgetBytes })[0]
  }

  get context() {
    return { series: this.table, stepMs: STEP_MS }
  }

  /** Scores and learns one window; `strange` rows teach as those of an open anomaly. */
  async next(member: ProfileMember = this.member, strange: ReadonlySet<number> = new Set()): Promise<void> {
    const { batch, weight } = this
    batch.length = this.#randoms.length
    for (let i = 0; i < batch.length; i++) {
      batch.series[i] = i
      batch.windowEndMs[i] = START_MS + (this.t + 1) * STEP_MS
      batch.observed[i] = this.value(this.t, this.#randoms[i])
      weight[i] = strange.has(i) ? 0.1 : 1
    }
    this.t++
    await this.again(member)
  }

  /** The same window for another member. */
  async again(member: ProfileMember, out = this.out): Promise<void> {
    await member.score(this.batch, out)
    member.learn(this.batch, this.weight)
    member.review(this.batch.windowEndMs[0], () => new Map())
  }

  held(member: ProfileMember = this.member): number[] {
    return member.use().profiles.map(one => one.series)
  }
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (x: readonly number[]) => x.reduce((sum, v) => sum + v, 0) / x.length
  const [ma, mb] = [mean(a), mean(b)]
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - ma) * (b[i] - mb)
    aa += (a[i] - ma) ** 2
    bb += (b[i] - mb) ** 2
  }
  return ab / Math.sqrt(aa * bb)
}

describe('a promotion', () => {
  it.each(['compact', 'full'] as const)('to %s keeps what was learned', async profile => {
    // A spike now and then, so that there is something to agree on.
    const spiky: Value = (t, random) => daily(t, random) + (random() < 0.01 ? 15 * random() : 0)
    const world = new World(['latency'], profile === 'full' ? 8 * MIB : 0, [], spiky)
    const [always] = profileMembers(world.context, profile, [])
    const [never] = profileMembers(world.context, 'tiny', [])
    let member = world.member
    const outs = [scoreBatch(1), scoreBatch(1)]
    const said: { own: number[]; usual: number[]; small: number[] } = { own: [], usual: [], small: [] }
    const apart: number[] = []
    for (let t = 0; t < 20 * DAY; t++) {
      await world.next(member)
      await world.again(always, outs[0])
      await world.again(never, outs[1])
      if (t === DAY + 1) {
        if (profile === 'full') expect(world.held()).toEqual([0, 0, 1])
        else {
          // A rule that is new at a restart takes the same way as a promotion.
          const saved = member.snapshot()
          member = profileMembers(world.context, 'tiny', [{ metric: 's0', profile }])[0]
          member.restore(saved)
          expect(world.held(member)).toEqual([0, 1, 0])
        }
      }
      if (t <= DAY + 1) continue
      // Not one window without an opinion.
      expect(Number.isFinite(world.out.point[0] + world.out.incident[0])).toBe(true)
      if (t < 17 * DAY) continue
      said.own.push(world.out.point[0])
      said.usual.push(outs[0].point[0])
      said.small.push(outs[1].point[0])
      apart.push(Math.abs(world.out.expected[0] - outs[0].expected[0]))
    }
    const agreement = correlation(said.own, said.usual)
    expect(agreement).toBeGreaterThan(0.97)
    expect(agreement).toBeGreaterThan(correlation(said.small, said.usual))
    expect(apart.sort((a, b) => a - b)[apart.length >> 1]).toBeLessThan(0.3)
  })

  it('says of the very next window what the smaller profile would have said', async () => {
    const world = new World(['other', 'other'], 2 * MIB)
    const [still] = profileMembers(world.context, 'tiny', [])
    const out = scoreBatch(2)
    for (let t = 0; t < 6 * DAY; t++) {
      await world.next()
      await world.again(still, out)
    }
    expect(world.held()).toEqual([2, 0, 0])
    // Series 1 becomes a suspect and is reviewed at the next ten minutes.
    for (let i = 0; i < 2; i++) {
      await world.next(world.member, new Set([1]))
      await world.again(still, out)
    }
    expect(world.held()).toEqual([1, 0, 1])
    await world.next()
    await world.again(still, out)
    expect(world.out.point[0]).toBe(out.point[0])
    expect(world.out.expected[1]).toBeCloseTo(out.expected[1], -1)
    expect(Math.abs(world.out.expected[1] - out.expected[1])).toBeLessThan(1)
    expect(Math.abs(world.out.point[1] - out.point[1])).toBeLessThan(0.4)
    expect(Math.abs(world.out.incident[1] - out.incident[1])).toBeLessThan(1)
  })
})

describe('a demotion', () => {
  it('comes after a day of quiet, frees the memory and keeps opinions going', async () => {
    const world = new World(['other', 'other', 'other'], 3 * MIB)
    for (let t = 0; t < 3 * DAY; t++) await world.next()
    const before = world.member.bytes()
    for (let i = 0; i < 2; i++) await world.next(world.member, new Set([2]))
    expect(world.held()).toEqual([2, 0, 1])
    expect(world.member.bytes()).toBeGreaterThan(before + 30_000)
    for (let t = 0; t < 1.5 * DAY; t++) await world.next()
    expect(world.held()).toEqual([3, 0, 0])
    // What stays is the table of rows.
    expect(world.member.bytes()).toBeLessThan(before + 13_000)
    expect(world.member.use()).toMatchObject({ promotions: 1, demotions: 1 })
    await world.next()
    expect(Number.isFinite(world.out.point[2])).toBe(true)
    expect(Math.abs(world.out.expected[2] - world.batch.observed[2])).toBeLessThan(10)
  })
})

describe('the budget', () => {
  it('is never exceeded, and a copy restored in mid-course goes on alike', async () => {
    const kinds: MetricKind[] = ['latency', 'error', 'other', 'traffic', 'cpu']
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          count: fc.integer({ min: 1, max: 24 }),
          budget: fc.integer({ min: 0, max: 3_000_000 }),
          days: fc.integer({ min: 2, max: 4 }),
          cut: fc.double({ min: 0.1, max: 0.9, noNaN: true }),
          seed: fc.integer(),
        }),
        async ({ count, budget, days, cut, seed }) => {
          const random = mulberry32(seed)
          const world = new World(
            Array.from({ length: count }, (_, i) => kinds[i % kinds.length]),
            budget,
          )
          const [plain] = profileMembers(world.context, 'tiny', [])
          let copy: ProfileMember | undefined
          const out = scoreBatch(256)
          for (let t = 0; t < days * DAY; t++) {
            const strange = new Set(random() < 0.02 ? [Math.floor(random() * count)] : [])
            await world.next(world.member, strange)
            await world.again(plain, out)
            if (copy) {
              await world.again(copy, out)
              expect(out.point.subarray(0, count)).toEqual(world.out.point.subarray(0, count))
              expect(world.held(copy)).toEqual(world.held())
            }
            const state = (member: ProfileMember) =>
              member.use().profiles.reduce((sum, one) => sum + one.bytes, 0)
            expect(state(world.member)).toBeLessThanOrEqual(Math.max(budget, state(plain)))
            if (t === Math.floor(cut * days * DAY)) {
              const saved = world.member.snapshot()
              copy = profileMembers(world.context, 'tiny', [], { budgetBytes: budget })[0]
              copy.restore({ ...saved, meta: JSON.parse(JSON.stringify(saved.meta)) })
            }
          }
        },
      ),
      { numRuns: 8, seed: 1 },
    )
  })

  it('is not exceeded by the table of the rows that a profile has', async () => {
    const world = new World(['latency', 'error'], 466_560)
    const state = () => world.member.use().profiles.reduce((sum, one) => sum + one.bytes, 0)
    for (let t = 0; t < 1.2 * DAY; t++) {
      await world.next()
      expect(state()).toBeLessThanOrEqual(466_560)
    }
    // What is left is enough for a series, but not for where it is to be found as well.
    expect(world.held()).toEqual([2, 0, 0])
  })

  it('goes to suspects first, then to golden signals of important entities, and does not flap', async () => {
    const world = new World(['latency', 'latency', 'other', 'other'], 0)
    // Room for one series with rings beside the rest.
    const [member] = profileMembers(world.context, 'tiny', [], { budgetBytes: 820_000 })
    for (let t = 0; t < 2 * DAY; t++) await world.next(member)
    const golden = world.held(member)
    expect(golden[1] + golden[2]).toBe(2)
    const moved = member.use().promotions
    for (let t = 0; t < DAY; t++) await world.next(member)
    expect(member.use()).toMatchObject({ promotions: moved, demotions: 0 })
  })

  it('leaves alone what a rule names', async () => {
    const world = new World(['latency', 'latency'], 8 * MIB, [{ metric: 's0', profile: 'tiny' }])
    for (let t = 0; t < 2 * DAY; t++) await world.next()
    expect(world.held()).toEqual([1, 0, 1])
  })
})

describe('a restore', () => {
  it('gives a series the profile that the configuration has by then', async () => {
    const world = new World(['latency', 'other', 'cpu'], 8 * MIB)
    for (let t = 0; t < 2 * DAY; t++) await world.next()
    expect(world.held()).toEqual([2, 0, 1])
    const saved = world.member.snapshot()
    const [member] = profileMembers(world.context, 'tiny', [
      { metric: 's0', profile: 'compact' },
      { metric: 's1', profile: 'none' },
    ])
    member.restore(saved)
    expect(world.held(member)).toEqual([1, 1, 0])
    await world.next(member)
    expect(Number.isFinite(world.out.point[0])).toBe(true)
    expect(world.out.point[1]).toBeNaN()
  })
})
