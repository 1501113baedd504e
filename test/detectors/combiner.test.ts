// Shows the combiner as a step of the member that holds all profiles: the detector contract holds with it, blocks that
// are scored first and learned later say what one batch says, what it knows of a series stays when the profile changes,
// a restart with it switched on or off goes on, young rings have no views, and without a model profiles speak.
import { describe, expect, it } from 'vitest'
import { type FeatureBatch, featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { type SeriesRows, SeriesTable } from '../../src/core/series.ts'
import { COMBINER_FOLDER, Combiner } from '../../src/detectors/combiner.ts'
import { COMBINER_VIEWS, VIEWS_WIDTH } from '../../src/detectors/combiner-views.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import type { Profile, ProfileRule } from '../../src/detectors/profile-choice.ts'
import { type ProfileMember, profileMembers } from '../../src/detectors/profile-member.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

const STEP_MS = 300_000
const DAY = 288
const START_MS = Date.UTC(2026, 0, 5)

const onFailure = (error: Error) => {
  throw error
}

const weighed = (
  context: { series: SeriesRows; stepMs: number },
  profile: Profile,
  rules: ProfileRule[] = [],
  combiner = new Combiner(context, { folder: COMBINER_FOLDER, onFailure }),
) => profileMembers(context, profile, rules, undefined, combiner)[0]

detectorContract('profile@1 with a combiner', context => weighed(context, 'tiny'))
detectorContract('profile@1 of several profiles with a combiner', context =>
  weighed(context, 'tiny', [
    { metric: 'd*', profile: 'compact' },
    { metric: 's*', profile: 'none' },
  ]),
)

/** Four noisy series with a rhythm, a daily job and now and then a spike. */
class World {
  readonly series = new SeriesTable(4)
  readonly batch = featureBatch(4, 0)
  readonly out = scoreBatch(4)
  readonly ones = new Float32Array(4).fill(1)
  readonly #random = mulberry32(11)
  t = 0

  constructor() {
    for (let i = 0; i < 4; i++) this.batch.series[i] = this.series.intern(testSeries(`s${i}`))
    this.batch.length = 4
  }

  get context() {
    return { series: this.series, stepMs: STEP_MS }
  }

  next(): void {
    const { batch, t } = this
    for (let i = 0; i < 4; i++) {
      const job = t % DAY === 100 ? 15 : 0
      const spike = this.#random() < 0.01 ? 12 * this.#random() : 0
      batch.windowEndMs[i] = START_MS + (t + 1) * STEP_MS
      batch.observed[i] = 50 + 10 * Math.sin((2 * Math.PI * t) / DAY) + gaussian(this.#random) + job + spike
    }
    this.t++
  }

  /** Point evidence of the window for a member, which then learns it. */
  async points(member: ProfileMember): Promise<number[]> {
    await member.score(this.batch, this.out)
    member.learn(this.batch, this.ones)
    return Array.from(this.out.point)
  }

  /** Two rows of the batch, as the ensemble cuts it. */
  block(from: number): FeatureBatch {
    const { batch } = this
    const cut = <T extends Float64Array | Float32Array | Uint32Array>(c: T) => c.subarray(from, from + 2) as T
    return {
      ...{ length: 2, capacity: 2, width: 0, features: batch.features },
      series: cut(batch.series),
      windowEndMs: cut(batch.windowEndMs),
      observed: cut(batch.observed),
      coverage: cut(batch.coverage),
    }
  }
}

describe('the combiner over profiles', () => {
  it.each(['tiny', 'full'] as const)('learns blocks that were all scored before, %s', async profile => {
    const world = new World()
    const whole = weighed(world.context, profile)
    const parts = weighed(world.context, profile)
    const outs = [scoreBatch(2), scoreBatch(2)]
    let heard = 0
    for (let t = 0; t < 5 * DAY; t++) {
      world.next()
      const said = await world.points(whole)
      const blocks = [world.block(0), world.block(2)]
      for (const [b, block] of blocks.entries()) await parts.score(block, outs[b])
      for (const block of blocks) parts.learn(block, world.ones)
      expect([...outs[0].point, ...outs[1].point], `at ${t}`).toEqual(said)
      if (said.some(point => point > 1)) heard++
    }
    expect(heard).toBeGreaterThan(10)
    await Promise.all([whole.close(), parts.close()])
  })

  it('keeps what it knows of a series when its profile changes, and goes on after a restart', async () => {
    const world = new World()
    const combiner = new Combiner(world.context, { folder: COMBINER_FOLDER, onFailure })
    const member = weighed(world.context, 'tiny', [], combiner)
    for (let t = 0; t < 6 * DAY; t++) {
      world.next()
      await world.points(member)
    }
    const saved = member.snapshot()
    const other = new Combiner(world.context, { folder: COMBINER_FOLDER, onFailure })
    const rules: ProfileRule[] = [
      { metric: 's0', profile: 'compact' },
      { metric: 's1', profile: 'full' },
      { metric: 's2', profile: 'none' },
    ]
    const moved = weighed(world.context, 'tiny', rules, other)
    moved.restore(saved)
    expect(moved.use().profiles.map(one => one.series)).toEqual([1, 1, 1])
    for (const row of [0, 1, 3]) expect(other.columns([row])).toEqual(combiner.columns([row]))
    expect(Math.max(...combiner.columns([0, 1, 3]).usualMax)).toBeGreaterThan(0)
    expect(other.columns([2]).isStarted).toEqual(new Uint8Array(1))
    for (let t = 0; t < 2 * DAY; t++) {
      world.next()
      const stayed = await world.points(member)
      const said = await world.points(moved)
      expect(said[3]).toBe(stayed[3])
      expect(said[2]).toBeNaN()
      expect(Number.isFinite(said[0] + said[1])).toBe(true)
    }
    // What one profile finds loud is loud with the other: the same usual day lies behind it.
    world.next()
    for (let i = 0; i < 4; i++) world.batch.observed[i] += 25
    const stayed = await world.points(member)
    const said = await world.points(moved)
    for (const i of [0, 1, 3]) expect(Math.min(stayed[i], said[i])).toBeGreaterThan(1.5)
    await Promise.all([member.close(), moved.close()])
  })

  it('sees no rings in a series just promoted until they have seen a day', async () => {
    const world = new World()
    const member = weighed(world.context, 'tiny')
    for (let t = 0; t < 3 * DAY; t++) {
      world.next()
      await world.points(member)
    }
    const combiner = new Combiner(world.context, { onFailure })
    const moved = weighed(world.context, 'full', [], combiner)
    moved.restore(member.snapshot())
    const ring = COMBINER_VIEWS.indexOf('both_raw')
    const slot = COMBINER_VIEWS.indexOf('slot_raw')
    const seen: boolean[][] = [[], []]
    for (let t = 0; t < 2 * DAY; t++) {
      world.next()
      await world.points(moved)
      for (let k = 0; k < combiner.count; k++) {
        expect(combiner.tensor[k * VIEWS_WIDTH + slot]).toBeGreaterThan(0)
        seen[t <= DAY ? 0 : 1].push(!Number.isNaN(combiner.tensor[k * VIEWS_WIDTH + ring]))
      }
    }
    expect(seen.map(flags => [flags.includes(false), flags.includes(true)])).toEqual([
      [true, false],
      [false, true],
    ])
    await member.close()
  })

  it('can be switched on and off at a restart', async () => {
    const world = new World()
    const plain = profileMembers(world.context, 'tiny', [])[0]
    for (let t = 0; t < 3 * DAY; t++) {
      world.next()
      await world.points(plain)
    }
    const on = weighed(world.context, 'tiny')
    on.restore(plain.snapshot())
    for (let t = 0; t < DAY; t++) {
      world.next()
      await world.points(plain)
      expect((await world.points(on)).every(Number.isFinite)).toBe(true)
    }
    const off = profileMembers(world.context, 'tiny', [])[0]
    off.restore(on.snapshot())
    world.next()
    expect(await world.points(off)).toEqual(await world.points(plain))
    expect([on.voices[0].name, off.voices[0].name]).toEqual(['weighed-point', undefined])
    await on.close()
  })

  it('leaves profiles their own evidence when the model is missing, and the ensemble says why', async () => {
    const world = new World()
    const failures: string[] = []
    const combiner = new Combiner(world.context, {
      folder: '/nowhere',
      onFailure: error => failures.push(error.code),
    })
    const member = weighed(world.context, 'tiny', [], combiner)
    const plain = profileMembers(world.context, 'tiny', [])[0]
    const ensemble = new Ensemble([member], ENSEMBLE_DEFAULTS, world.context)
    expect(ensemble.detectors[0]).not.toHaveProperty('problem')
    for (let t = 0; t < 4 * DAY; t++) {
      world.next()
      const own = await world.points(plain)
      for (const [i, point] of (await world.points(member)).entries()) {
        if (Number.isNaN(own[i])) expect(point).toBeNaN()
        // What is kept between scoring and learning has float32's seven digits.
        else expect(Math.abs(point - own[i])).toBeLessThanOrEqual(1e-6 * own[i])
      }
    }
    expect(failures).toEqual(['FS_MODEL_INVALID'])
    expect(ensemble.detectors[0].problem).toContain('/nowhere')
  })
})
