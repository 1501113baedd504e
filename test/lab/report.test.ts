// Shows how the lab judges: what counts as found, how fast, at which place the true cause stands, and what is a false
// disruption; on hand-made events whose verdict is known.
import { describe, expect, it } from 'vitest'
import type { Disruption, DisruptionEventType } from '../../src/core/disruption.ts'
import { FAULTS } from '../../src/lab/faults.ts'
import type { SeenEvent } from '../../src/lab/foreshock.ts'
import { type FaultRun, falseDisruptions, GRACE_MS, judge, rankOf, totals } from '../../src/lab/report.ts'

const disruption = (id: string, entities: readonly string[]) =>
  ({
    id,
    title: `about ${entities[0]}`,
    suspects: entities.map((entity, index) => ({ rank: index + 1, entity, metric: 'm' })),
  }) as unknown as Disruption

const event = (type: DisruptionEventType, atMs: number, id: string, ...entities: string[]): SeenEvent => ({
  type,
  atMs,
  disruption: disruption(id, entities),
})

const run: FaultRun = { fault: FAULTS['slow-dependency'], seed: 1, injectedMs: 10_000, healedMs: 40_000 }
const control: FaultRun = { fault: FAULTS['traffic-rise'], seed: 1, injectedMs: 100_000, healedMs: 130_000 }

describe('a fault', () => {
  it('is found by the first disruption opened while it lasts, and ranked as of its end', () => {
    const events = [
      event('opened', 14_000, 'a', 'edge', 'edge', 'store'),
      event('updated', 20_000, 'a', 'store', 'edge'),
      event('resolved', 52_000, 'a', 'edge'),
    ]
    expect(judge(run, events, 60_000)).toMatchObject({
      detected: true,
      secondsToDetect: 4,
      rankAtOpening: 2,
      rankAtEnd: 1,
      titleAtOpening: 'about edge',
      titleAtEnd: 'about store',
      secondsToResolve: 12,
      further: [],
    })
    expect(falseDisruptions([run], events)).toEqual([])
  })

  it('is missed when nothing is opened, or only after it was healed', () => {
    expect(judge(run, [], 60_000)).toMatchObject({ detected: false, secondsToDetect: null, rankAtEnd: null })
    const late = [event('opened', 45_000, 'a', 'store')]
    expect(judge(run, late, 60_000)).toMatchObject({ detected: false, further: ['about store'] })
    expect(falseDisruptions([run], late)).toEqual([])
  })

  it('is found, too, when a disruption that was resolved is taken up again', () => {
    const events = [
      event('opened', 1000, 'a', 'store'),
      event('resolved', 9000, 'a', 'store'),
      event('updated', 13_000, 'a', 'store'),
      event('updated', 16_000, 'a', 'edge', 'store'),
    ]
    expect(judge(run, events, 60_000)).toMatchObject({
      detected: true,
      secondsToDetect: 3,
      rankAtOpening: 1,
      rankAtEnd: 2,
    })
    expect(judge(run, events.slice(0, 1).concat(events.slice(2)), 60_000)).toMatchObject({ detected: false })
  })

  it('goes on with the disruption that it turned out to be part of', () => {
    const merged = event('retracted', 20_000, 'b', 'edge')
    const related = [{ id: 'a', relation: 'merged-into' as const }]
    const events = [
      event('opened', 14_000, 'b', 'edge'),
      { ...merged, disruption: { ...merged.disruption, related } },
      event('updated', 20_000, 'a', 'store', 'edge'),
      event('resolved', 52_000, 'a', 'store'),
    ]
    expect(judge(run, events, 60_000)).toMatchObject({
      secondsToDetect: 4,
      rankAtEnd: 1,
      secondsToResolve: 12,
    })
    const taken = [events[0], merged]
    expect(judge(run, taken, 60_000)).toMatchObject({ detected: true, titleAtEnd: 'about edge' })
  })

  it('has no place for a cause that is not among the suspects', () => {
    expect(rankOf('store', disruption('a', ['edge', 'cache']))).toBeNull()
    expect(rankOf('store', disruption('a', []))).toBeNull()
  })
})

describe('false disruptions', () => {
  it('are those of quiet times and of controls', () => {
    const events = [
      event('opened', 5000, 'early', 'edge'),
      event('opened', 12_000, 'right', 'store'),
      event('opened', 40_001 + GRACE_MS, 'late', 'cache'),
      event('opened', 110_000, 'control', 'edge'),
    ]
    const falses = falseDisruptions([run, control], events)
    expect(falses.map(({ title, during }) => [title, during])).toEqual([
      ['about edge', null],
      ['about cache', null],
      ['about edge', 'traffic-rise'],
    ])
    const outcomes = [judge(run, events, 60_000), judge(control, events, 150_000)]
    expect(totals(outcomes, falses)).toEqual({
      faults: 1,
      detected: 1,
      recall: 1,
      medianSeconds: 2,
      causeFirst: 1,
      causeFirstShare: 1,
      controls: 1,
      controlsCalled: 1,
      falseDisruptions: 3,
    })
  })
})
