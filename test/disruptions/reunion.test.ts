// Shows what becomes of stories that turn out one, or two: the younger is retracted with a pointer and the elder
// goes on with what it knew; members that no call path joins part; a new onset at another cause inside an open
// disruption is a story of its own. Plays windows of steady latencies through the whole stage; every event is
// checked against the outside contract, and a restart at any window changes nothing.
import { expect, it } from 'vitest'
import { type DisruptionEvent, disruptionSchema } from '../../src/core/disruption.ts'
import { seriesKey } from '../../src/core/series.ts'
import type { DisruptionOptions } from '../../src/disruptions/options.ts'
import { Bench, latencyMeta } from './bench.ts'

const START_MS = 1_700_000_000_000
const WARM_UP = 60

/** A few services with one latency each; at every window the named ones are ten times slower. */
class World {
  readonly bench: Bench
  nowMs = START_MS
  readonly #rows = new Map<string, number>()
  #window = 0

  constructor(names: readonly string[], edges: readonly string[], options: Partial<DisruptionOptions> = {}) {
    this.bench = new Bench(options)
    for (const name of names) this.#rows.set(name, this.bench.add(latencyMeta(name)))
    this.learn(edges)
  }

  learn(edges: readonly string[]): void {
    this.bench.stage.addEdges(
      edges.map(edge => ({ source: edge.split('>')[0], target: edge.split('>')[1] })),
      this.nowMs,
    )
  }

  run(windows: number, ...slow: readonly string[]): void {
    for (let i = 0; i < windows; i++) {
      this.nowMs += this.bench.options.stepMs
      const ripple = 0.05 + 0.002 * Math.sin(this.#window++ * 1.7)
      const values = [...this.#rows].map(
        ([name, row]) => [row, slow.includes(name) ? 10 * ripple : ripple] as const,
      )
      for (const event of this.bench.window(this.nowMs, new Map(values)))
        disruptionSchema.parse(event.disruption)
    }
  }

  restart(): void {
    const saved = structuredClone(this.bench.stage.snapshot())
    this.bench.stage = this.bench.fresh()
    this.bench.stage.restore(saved)
  }

  of(type: DisruptionEvent['type']): DisruptionEvent[] {
    return this.bench.events.filter(event => event.type === type)
  }
}

const names = (events: readonly DisruptionEvent[]): string[][] =>
  events.map(({ disruption }) => [...disruption.entities])

function mergeWorld(cutAt = -1): World {
  const world = new World(['a', 'b', 'x', 'y'], ['a>x', 'b>y'])
  world.run(WARM_UP)
  for (let i = 0; i < 40; i++) {
    if (i === 12) world.learn(['a>b'])
    world.run(1, ...(i < 25 ? ['a', 'b'] : []))
    if (i === cutAt) world.restart()
  }
  return world
}

it('two open disruptions that a newly learned call joins become one', () => {
  const world = mergeWorld()
  expect(names(world.of('opened'))).toEqual([['a'], ['b']])
  // Opened in the same window: the lesser id counts as the elder.
  const [elder, younger] = world
    .of('opened')
    .map(event => event.disruption.id)
    .sort()
  const [retracted, ...more] = world.of('retracted')
  expect(more).toEqual([])
  expect(retracted.disruption).toMatchObject({
    id: younger,
    status: 'retracted',
    revision: 2,
    supersedes: 1,
    related: [{ id: elder, relation: 'merged-into' }],
  })
  expect(retracted.id).toBe(`${younger}.2`)
  expect(retracted.disruption.why[0]).toContain(elder)
  expect(retracted.disruption.why.join(' ')).not.toContain('quiet since')
  expect(retracted.disruption.resolvedAt).not.toBeNull()
  expect(retracted.disruption.entities.length).toBe(1)
  const joined = world.bench.events.filter(
    event => event.timeMs >= retracted.timeMs && event.disruption.id === elder,
  )
  expect(joined[0].type).toBe('updated')
  expect(joined[0].timeMs).toBe(retracted.timeMs)
  expect(joined[0].disruption.entities).toEqual(['a', 'b'])
  expect(joined[0].disruption.related).toEqual([{ id: younger, relation: 'merged-from' }])
  expect(joined[0].disruption.why.join(' ')).toContain(`${younger} turned out to be part of this`)
  // b is called by a, so it is b that a's slowness comes from.
  expect(joined[0].disruption.suspects[0].entity).toBe('b')
  expect(joined[0].disruption.evidence.map(one => one.entity).sort()).toEqual(['a', 'b'])
  expect(world.of('resolved').map(event => event.disruption.id)).toEqual([elder])
  expect(world.bench.stage.board().map(one => one.id)).toEqual([elder])
  for (const id of [elder, younger]) {
    const own = world.bench.events.filter(event => event.disruption.id === id)
    expect(own.map(event => event.disruption.revision)).toEqual(own.map((_, i) => i + 1))
  }
})

it('a restart at any window of a merge changes no byte', () => {
  const whole = JSON.stringify(mergeWorld().bench.events)
  for (const cut of [2, 4, 11, 12, 13, 20, 30]) {
    expect(JSON.stringify(mergeWorld(cut).bench.events), `cut at ${cut}`).toBe(whole)
  }
})

it('a restart does not ask anew whether an open disruption is one', () => {
  const play = (cut = -1): DisruptionEvent[] => {
    const world = new World(['s0', 's1', 's2', 's3'], ['s0>s1', 's1>s2', 's2>s3'])
    world.run(WARM_UP)
    // Who is far above the cause and strange later belongs to it, and lies on no short path to it.
    for (let i = 0; i < 35; i++) {
      world.run(1, 's3', ...(i < 11 ? [] : ['s0']))
      if (i === cut) world.restart()
    }
    return world.bench.events
  }
  const whole = play()
  expect(names(whole.slice(-1))).toEqual([['s0', 's3']])
  for (const cut of [13, 18]) expect(play(cut), `cut at ${cut}`).toEqual(whole)
})

it('a merge within the window of opening publishes one disruption and takes nothing back', () => {
  const world = new World(['a', 'b'], ['a>b'])
  world.run(WARM_UP)
  world.run(20, 'a', 'b')
  expect(names(world.of('opened'))).toEqual([['a', 'b']])
  expect(world.of('retracted')).toEqual([])
})

it('faults far apart in one call graph are two disruptions, near ones and bridged ones are one', () => {
  const chain = ['s0>s1', 's1>s2', 's2>s3', 's3>s4', 's4>s5']
  const all = Array.from({ length: 6 }, (_, i) => `s${i}`)
  const play = (...slow: string[]): string[][] => {
    const world = new World(all, chain)
    world.run(WARM_UP)
    world.run(20, ...slow)
    expect(world.of('retracted')).toEqual([])
    return names(world.of('opened'))
  }
  expect(play('s0', 's5')).toEqual([['s0'], ['s5']])
  expect(play('s1', 's2')).toEqual([['s1', 's2']])
  expect(play('s1', 's3')).toEqual([['s1', 's3']])
  expect(play('s0', 's1', 's4', 's5')).toEqual([
    ['s0', 's1'],
    ['s4', 's5'],
  ])
})

it('one disruption of entities that the call graph, once known, holds apart becomes two', () => {
  const world = new World(['a', 'b', 'x', 'y'], [])
  world.run(WARM_UP)
  world.run(8, 'a', 'b')
  expect(names(world.of('opened'))).toEqual([['a', 'b']])
  world.learn(['a>x', 'b>y'])
  world.run(12, 'a', 'b')
  const [first, second, ...more] = world.of('opened')
  expect(more).toEqual([])
  expect(second.disruption.related).toEqual([{ id: first.disruption.id, relation: 'split-from' }])
  const kept = world.bench.events.find(
    event => event.type === 'updated' && event.disruption.id === first.disruption.id,
  )
  expect(kept?.timeMs).toBe(second.timeMs)
  expect([kept?.disruption.entities, second.disruption.entities].flat().sort()).toEqual(['a', 'b'])
  expect(kept?.disruption.related).toEqual([{ id: second.disruption.id, relation: 'split-off' }])
  world.run(20)
  expect(world.of('retracted')).toEqual([])
  expect(new Set(world.of('resolved').map(event => event.disruption.id))).toEqual(
    new Set([first.disruption.id, second.disruption.id]),
  )
})

it('a new onset at another cause inside an open disruption is a story of its own', () => {
  const world = new World(['front', 'a', 'b'], ['front>a', 'front>b'], { quietWindows: 20 })
  world.run(WARM_UP)
  world.run(15, 'front', 'a')
  world.run(9)
  world.run(15, 'front', 'b')
  const [first, second, ...more] = world.of('opened')
  expect(more).toEqual([])
  expect(first.disruption.suspects[0].entity).toBe('a')
  const last = world.bench.events.findLast(event => event.disruption.id === second.disruption.id)
  expect(last?.disruption.suspects[0].entity).toBe('b')
  expect(last?.disruption.entities).toContain('b')
  expect(world.bench.stage.board().length).toBe(2)
})

it('the same trouble again inside an open disruption stays with it', () => {
  const world = new World(['front', 'a', 'b'], ['front>a', 'front>b'], { quietWindows: 20 })
  world.run(WARM_UP)
  for (let i = 0; i < 3; i++) {
    world.run(15, 'front', 'a')
    world.run(9)
  }
  expect(names(world.of('opened'))).toEqual([['a', 'front']])
  expect(world.of('retracted')).toEqual([])
})

it('the same service in another kind of trouble after a pause is another disruption, in the same kind the same', () => {
  const play = (second: 'slow' | 'failing'): string[] => {
    const bench = new Bench()
    const slow = bench.add(latencyMeta('a'))
    const meta = latencyMeta('a')
    const failing = bench.add({
      ...meta,
      key: seriesKey('failures', meta.labels),
      metric: 'failures',
      unit: 'ratio',
      kind: 'error',
    })
    let nowMs = START_MS
    const run = (windows: number, trouble = ''): void => {
      for (let i = 0; i < windows; i++) {
        nowMs += bench.options.stepMs
        const ripple = 0.05 + 0.002 * Math.sin(i * 1.7)
        const values = [
          [slow, trouble === 'slow' ? 10 * ripple : ripple],
          [failing, trouble === 'failing' ? 0.3 : 0],
        ] as const
        bench.window(nowMs, new Map(values))
      }
    }
    run(WARM_UP)
    run(10, 'slow')
    run(12)
    run(10, second)
    return [...new Set(bench.events.map(event => event.disruption.id))]
  }
  expect(play('slow').length).toBe(1)
  expect(play('failing').length).toBe(2)
})

it('beside a call graph, services that it does not hold are one story only when they begin together', () => {
  const play = (later: number, edges: readonly string[]): string[][] => {
    const world = new World(['a', 'b', 'o', 'p'], edges)
    world.run(WARM_UP)
    world.run(later, 'o')
    world.run(20, 'o', 'p')
    const last = new Map(world.bench.events.map(({ disruption }) => [disruption.id, disruption.entities]))
    return [...last.values()].map(entities => [...entities])
  }
  expect(play(1, ['a>b'])).toEqual([['o', 'p']])
  expect(play(5, ['a>b'])).toEqual([['o'], ['p']])
  // Where there is no call graph at all, near is enough.
  expect(play(5, [])).toEqual([['o', 'p']])
})

it('where all calls were forgotten there is no call graph again, with a restart and without', () => {
  const play = (restarts: boolean): DisruptionEvent[] => {
    const world = new World(['a', 'o', 'p'], [])
    const call = world.bench.add(latencyMeta('x', { client: 'a', server: 'x' }))
    world.run(WARM_UP)
    world.nowMs += world.bench.options.stepMs
    world.bench.window(world.nowMs, new Map([[call, 0.05]]))
    expect(world.bench.stage.edges()).toHaveLength(1)
    world.run(6, 'a')
    world.run(400)
    expect(world.bench.stage.edges()).toEqual([])
    if (restarts) world.restart()
    world.run(5, 'o')
    world.run(20, 'o', 'p')
    return world.bench.events
  }
  const events = play(false)
  expect(events.at(-1)?.disruption.entities).toEqual(['o', 'p'])
  expect(JSON.stringify(play(true))).toBe(JSON.stringify(events))
})

it('trouble that came before with the same cause is told as not new', () => {
  const world = new World(['a', 'b'], ['a>b'], { refractoryWindows: 2 })
  world.run(WARM_UP)
  for (let i = 0; i < 2; i++) {
    world.run(12, 'b')
    world.run(25)
  }
  const [first, second, ...more] = world.of('opened').map(event => event.disruption)
  expect(more).toEqual([])
  expect(first.rankParts.novelty).toBe(1)
  expect(second.rankParts.novelty).toBeLessThan(1)
  expect(second.why.join('; ')).toContain('not new: one of the disruptions before it had the cause b')
  expect(first.why.join('; ')).toContain('a stayed normal')
})
