// Shows that the call graph takes what people and tracers give it: cycles, loops, unknown names, too many edges.
import { expect, it } from 'vitest'
import { CallGraph } from '../../src/disruptions/graph.ts'

it('finds who is above and below, through cycles', () => {
  const graph = new CallGraph(100)
  for (const [a, b] of [
    ['a', 'b'],
    ['b', 'c'],
    ['c', 'a'],
    ['c', 'd'],
  ])
    graph.add(a, b, 1)
  expect([...graph.ancestors('d')].sort()).toEqual(['a', 'b', 'c'])
  expect([...graph.descendants('a')].sort()).toEqual(['b', 'c', 'd'])
  expect(graph.ancestors('nobody').size).toBe(0)
})

it('keeps the newest sighting, ignores self-calls, counts what does not fit', () => {
  const graph = new CallGraph(1)
  expect(graph.add('a', 'a', 1)).toBe(-1)
  expect(graph.add('a', 'b', 5)).toBe(0)
  expect(graph.add('a', 'b', 3)).toBe(0)
  expect(graph.add('a', 'c', 9)).toBe(-1)
  expect(graph.dropped).toBe(1)
  expect(graph.edges()).toEqual([{ source: 'a', target: 'b', lastSeenMs: 5, given: false }])
})

it('components are the same whatever the order of edges, and a large graph is quick', () => {
  const pairs: [string, string][] = []
  for (let i = 0; i < 100_000; i++) pairs.push([`n${i % 10_000}`, `n${(i * 7919 + 1) % 10_000}`])
  const startMs = performance.now()
  const one = new CallGraph(200_000)
  for (const [a, b] of pairs) one.add(a, b, 0)
  const other = new CallGraph(200_000)
  for (const [a, b] of [...pairs].reverse()) other.add(a, b, 0)
  const sorted = (map: Map<string, string>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  expect(sorted(one.components())).toEqual(sorted(other.components()))
  expect(performance.now() - startMs).toBeLessThan(5000)
})

it('forgets learned calls that were not seen for long, keeps given ones, and takes their places again', () => {
  const graph = new CallGraph(3)
  graph.add('a', 'b', 10)
  graph.add('b', 'c', 20)
  graph.add('a', 'c', 0, true)
  expect(graph.expire(15)).toEqual([0])
  expect(graph.edges().map(({ source, target }) => source + target)).toEqual(['ac', 'bc'])
  expect(graph.callees('a')).toEqual(['c'])
  expect(graph.callers('b')).toEqual([])
  expect(graph.size).toBe(2)
  expect(graph.add('x', 'y', 30)).toBe(0)
  expect(graph.add('y', 'z', 30)).toBe(-1)
  // Who was learned and is then told by people stays.
  graph.add('b', 'c', 20, true)
  expect(graph.expire(1e9)).toEqual([0])
  expect(graph.size).toBe(2)
})

it('tells a tenant of calls that its own series told of, and of those that were given', () => {
  const graph = new CallGraph(10)
  graph.add('a', 'b', 10, false, 'acme')
  graph.add('a', 'b', 90, false, 'globex')
  graph.add('b', 'c', 20, false, 'globex')
  graph.add('c', 'd', 0, true)
  const of = (tenant?: string) => graph.edges(tenant).map(one => [one.source + one.target, one.lastSeenMs])
  expect(of()).toEqual([
    ['ab', 90],
    ['bc', 20],
    ['cd', 0],
  ])
  expect(of('acme')).toEqual([
    ['ab', 10],
    ['cd', 0],
  ])
  expect(of('globex')).toEqual([
    ['ab', 90],
    ['bc', 20],
    ['cd', 0],
  ])
  expect(of('other')).toEqual([['cd', 0]])
  graph.add('c', 'd', 70, false, 'globex')
  expect(of('acme')).toEqual([
    ['ab', 10],
    ['cd', 0],
  ])
  const again = new CallGraph(10)
  for (const { source, target, lastSeenMs, given, tenant } of graph.kept())
    again.add(source, target, lastSeenMs, given, tenant)
  expect(again.kept()).toEqual(graph.kept())
  graph.expire(50)
  expect(of('acme')).toEqual([['cd', 0]])
  expect(of('globex')).toEqual([
    ['ab', 90],
    ['cd', 70],
  ])
  expect(graph.callees('a')).toEqual(['b'])
  expect(graph.callees('b')).toEqual([])
  expect(graph.size).toBe(2)
})
