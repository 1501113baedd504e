// Shows who gets which profile: the detector contract holds for a member alone and beside others, a rule for a series
// goes before one for a metric, that before one for an entity, and a move in the good direction counts a quarter.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { ProfileChoice } from '../../src/detectors/profile-choice.ts'
import { profileMembers } from '../../src/detectors/profile-member.ts'
import { detectorContract, testSeries } from './contract.ts'

const STEP_MS = 1_800_000
const DAY = 48

detectorContract('tiny@1 as a member', context => profileMembers(context, 'tiny', [])[0])
detectorContract(
  'compact@1 for some',
  context => profileMembers(context, 'none', [{ metric: '*', profile: 'compact' }])[0],
)

describe('the choice of a profile', () => {
  it('takes the rule of the series, then of the metric, then of the entity, then the default', () => {
    const series = new SeriesTable(10)
    const names = ['api:latency', 'api:errors', 'db:latency', 'db:size'].map(key => {
      const [entity, metric] = key.split(':')
      return series.intern({ ...testSeries(key), entity, metric })
    })
    const choice = new ProfileChoice(series, 'tiny', [
      { entity: 'api', profile: 'none' },
      { metric: 'lat*', profile: 'compact' },
      { series: '*b:lat*y', profile: 'full' },
    ])
    expect(names.map(row => choice.of(row))).toEqual([2, 0, 3, 1])
    expect([choice.isUsed, choice.base, ...names.map(row => choice.isPinned(row))]).toEqual([
      true,
      1,
      true,
      true,
      true,
      false,
    ])
    choice.forget(names[0])
    expect(choice.of(names[0])).toBe(2)
  })

  it('asks for every glob of a rule, and stars may be empty', () => {
    const series = new SeriesTable(1)
    const row = series.intern({ ...testSeries('k'), entity: 'api', metric: 'latency_p99' })
    const of = (rule: object) => new ProfileChoice(series, 'none', [{ profile: 'full', ...rule }]).of(row)
    expect(of({ metric: 'latency*p99', entity: 'api' })).toBe(3)
    expect(of({ metric: '*latency_p99*' })).toBe(3)
    expect(of({ metric: 'latency*p99', entity: 'web' })).toBe(0)
    expect(of({ metric: 'latency_p99*9' })).toBe(0)
    expect(of({ metric: 'latency' })).toBe(0)
  })
})

describe('members side by side', () => {
  it('speak each of their own series, and a quarter as loud of good news', async () => {
    const series = new SeriesTable(3)
    series.intern(testSeries('up', 'latency', 's'))
    series.intern(testSeries('both'))
    series.intern(testSeries('silent'))
    const context = { series, stepMs: STEP_MS }
    const [mixed] = profileMembers(context, 'tiny', [
      { metric: 'both', profile: 'compact' },
      { metric: 'silent', profile: 'none' },
    ])
    const [tiny] = profileMembers(context, 'tiny', [])
    const [compact] = profileMembers(context, 'compact', [])
    const members = [mixed, tiny, compact]
    const batch = featureBatch(3, 0)
    const outs = members.map(() => scoreBatch(3))
    const weight = new Float32Array(3).fill(1)
    batch.length = 3
    for (let t = 0; t <= 5 * DAY; t++) {
      for (let i = 0; i < 3; i++) {
        batch.series[i] = i
        batch.windowEndMs[i] = (t + 1) * STEP_MS
        batch.observed[i] =
          50 + 10 * Math.sin((2 * Math.PI * t) / DAY) + Math.sin(17 * t) - (t === 5 * DAY ? 30 : 0)
      }
      for (const [m, member] of members.entries()) await member.score(batch, outs[m])
      for (const member of members) member.learn(batch, weight)
    }
    const [own, ofTiny, ofCompact] = outs
    expect(own.point[0]).toBeGreaterThan(0)
    expect(Array.from(own.point)).toEqual([ofTiny.point[0], ofCompact.point[1], NaN])
    expect(mixed.use().profiles.map(one => one.series)).toEqual([1, 1, 0])
    // `up` fell: a quarter of what the same fall is worth where both ways are bad.
    expect(own.point[0]).toBeCloseTo(ofTiny.point[1] / 4, 5)
  })
})
