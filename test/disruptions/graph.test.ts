// Shows that the call graph takes what people and tracers give it: cycles, loops, unknown names, too many edges.
import { expect, it } from 'vitest'
import { CallGraph } from '../../src/disruptions/graph.ts'
import { TenantGraphs } from '../../src/disruptions/tenant-graphs.ts'

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
  const graphs = new TenantGraphs(10)
  graphs.own('acme').add('a', 'b', 10)
  graphs.own('globex').add('a', 'b', 90)
  graphs.own('globex').add('b', 'c', 20)
  graphs.give('c', 'd', 0)
  const of = (tenant?: string) => graphs.edges(tenant).map(one => [one.source + one.target, one.lastSeenMs])
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
  expect(graphs.of('acme').callees('b')).toEqual([])
  expect([...graphs.of('acme').descendants('a')]).toEqual(['b'])
  expect(graphs.of('globex').components().get('d')).toBe('a')
  expect(graphs.of('acme').components().get('d')).toBe('c')
  graphs.own('globex').add('c', 'd', 70)
  expect(of('acme')).toEqual([
    ['ab', 10],
    ['cd', 0],
  ])
  const again = new TenantGraphs(10)
  for (const { tenant, ...edge } of graphs.kept()) again.keep(edge, tenant)
  expect(again.kept()).toEqual(graphs.kept())
  graphs.expire(50)
  expect(of('acme')).toEqual([['cd', 0]])
  expect(of('globex')).toEqual([
    ['ab', 90],
    ['cd', 70],
  ])
  expect(graphs.of('globex').callees('b')).toEqual([])
  // One call that was learned, and the given one of each of the two.
  expect(graphs.size).toBe(3)
})

it('gives all tenants together no more room than there is, and no two calls one number', () => {
  const graphs = new TenantGraphs(4)
  const numbers = ['acme', 'globex', 'acme', 'globex', 'acme'].map((tenant, i) =>
    graphs.own(tenant).add(`a${i}`, 'b', i),
  )
  expect(numbers).toEqual([0, 1, 2, 3, -1])
  expect([graphs.size, graphs.extent, graphs.dropped]).toEqual([4, 4, 1])
  graphs.seen(1, 100)
  expect(graphs.expire(3)).toEqual([0, 2])
  expect(graphs.own('globex').add('x', 'y', 5)).toBe(2)
  expect(graphs.edges('globex').map(one => one.lastSeenMs)).toEqual([100, 3, 5])
})

it('takes back what an older snapshot says of given calls', () => {
  const graphs = new TenantGraphs(10)
  const edge = { source: 'a', target: 'b', lastSeenMs: 70, given: true }
  graphs.keep(edge, 'acme')
  expect(graphs.edges('acme')).toEqual([edge])
  expect(graphs.edges('globex')).toEqual([{ ...edge, lastSeenMs: 0 }])
  expect(graphs.expire(1e9)).toEqual([])
})
