// Shows which entities a call path joins (calls, one silent hop, an unmeasured neighbour), and that clusters are the
// connected groups whatever the order, against a plain union of all pairs.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CallGraph } from '../../src/disruptions/graph.ts'
import { clusters, joined, nearest } from '../../src/disruptions/paths.ts'

function graphOf(...edges: readonly string[]): CallGraph {
  const graph = new CallGraph(100_000)
  for (const edge of edges) {
    const [source, target] = edge.split('>')
    graph.add(source, target, 0)
  }
  return graph
}

const all = (): boolean => true

it('joins by a call, by one hop in between, and not by a calm measured neighbour that both share', () => {
  const graph = graphOf('a>b', 'b>c', 'c>d', 'f>a', 'f>x', 'a>db', 'x>db')
  for (const measured of [all, () => false]) {
    expect(joined('a', 'a', graph, measured)).toBe(true)
    expect(joined('a', 'b', graph, measured)).toBe(true)
    expect(joined('c', 'b', graph, measured)).toBe(true)
    expect(joined('a', 'c', graph, measured)).toBe(true)
    expect(joined('d', 'b', graph, measured)).toBe(true)
    expect(joined('a', 'd', graph, measured)).toBe(false)
  }
  expect(joined('a', 'x', graph, all)).toBe(false)
  expect(joined('a', 'x', graph, name => name !== 'db')).toBe(true)
  expect(joined('x', 'a', graph, name => name !== 'f')).toBe(true)
  expect(joined('nobody', 'a', graph, all)).toBe(false)
})

it('answers fast for hubs and does not mind cycles', () => {
  const graph = new CallGraph(200_000)
  for (let i = 0; i < 50_000; i++) graph.add('hub', `s${i}`, 0)
  for (let i = 0; i < 50_000; i++) graph.add(`s${i}`, 'sink', 0)
  graph.add('sink', 'hub', 0)
  expect(joined('hub', 'sink', graph, all)).toBe(true)
  expect(joined('s1', 's49999', graph, all)).toBe(false)
})

it('the nearest come first, in both directions, as many as asked for', () => {
  const graph = graphOf('a>b', 'b>c', 'c>d', 'x>a', 'd>a')
  expect([...nearest(['b'], graph, 3)].sort()).toEqual(['a', 'b', 'c'])
  expect([...nearest(['b'], graph, 100)].sort()).toEqual(['a', 'b', 'c', 'd', 'x'])
  expect([...nearest(['nobody', 'c'], graph, 1)]).toEqual(['nobody'])
})

it('the nearest are the same whatever the order in which calls became known, as after a restart', () => {
  const edges = ['hub>s3', 'hub>s1', 's3>u', 's1>t', 'hub>s2', 'x>hub', 's2>v']
  const near = (most: number, order: readonly string[]) =>
    [...nearest(['hub'], graphOf(...order), most)].sort()
  for (let most = 1; most <= 8; most++)
    expect(near(most, [...edges].sort()), `${most}`).toEqual(near(most, edges))
})

it('clusters are the connected groups', () => {
  fc.assert(
    fc.property(
      fc
        .integer({ min: 0, max: 12 })
        .chain(n =>
          fc.tuple(
            fc.constant(n),
            fc.array(fc.tuple(fc.nat(Math.max(0, n - 1)), fc.nat(Math.max(0, n - 1))), { maxLength: 15 }),
          ),
        ),
      ([n, pairs]) => {
        const linked = (a: number, b: number): boolean =>
          pairs.some(([x, y]) => (x === a && y === b) || (x === b && y === a))
        const root = Array.from({ length: n }, (_, i) => i)
        for (const [a, b] of n === 0 ? [] : pairs) {
          const [low, high] = [Math.min(root[a], root[b]), Math.max(root[a], root[b])]
          for (let i = 0; i < n; i++) if (root[i] === high) root[i] = low
        }
        const wanted = [...new Set(root)].map(r => root.flatMap((one, i) => (one === r ? [i] : [])))
        expect(clusters(n, linked)).toEqual(wanted)
      },
    ),
  )
})
