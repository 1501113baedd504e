// Beyond the detector contract (kernel-detectors.test.ts): a table finds the leaf that a walk down each tree finds, of points on every cut and a
// bit beside it too; the detector says of every kind of series what walks down all trees say, to the bit; and what version 1 saved goes on.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { HALF_SPACE } from '../../src/detectors/half-space.ts'
import { findPoint, firstLeaf, LEAVES, leafIn, nodeOfLeaf } from '../../src/detectors/half-space-trees.ts'
import { KernelDetector } from '../../src/detectors/kernel-detector.ts'
import { LazyRows } from '../../src/detectors/lazy-rows.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'
import { leafOf, middles, PaperTrees, TREES } from './half-space-world.ts'

const WORLDS: Readonly<Record<string, (t: number, random: () => number) => number>> = {
  noise: (_, random) => 100 + gaussian(random),
  wave: (t, random) => 1e6 + 3e4 * Math.sin(t / 90) + 1e3 * gaussian(random),
  shift: (t, random) => (t < 900 ? 5 : 5e5) + gaussian(random),
  constant: () => 3,
  levels: (_, random) => Math.floor(3 * random()),
  rare: (_, random) => (random() < 0.01 ? 1 + 20 * random() : 0),
  huge: (t, random) => [1e18, -1e18, 5e-324, -0, 1e-30, -1e12, 1][(t + Math.floor(7 * random())) % 7],
}

describe('half-space trees', () => {
  it('find by a table the leaf that a walk down finds, on every cut and a bit beside it', () => {
    const random = mulberry32(5)
    const cuts = [...new Set(middles)].filter(middle => middle >= 0 && middle <= 1)
    const beside = cuts.flatMap(cut => [cut * (1 - Number.EPSILON / 2), cut, cut * (1 + Number.EPSILON)])
    const edges = [0, 5e-324, 1, ...beside].filter(x => x <= 1)
    const points = edges.flatMap(x => [
      [x, random()],
      [random(), x],
      [x, 1],
      [1, x],
      [x, edges[Math.floor(edges.length * random())]],
    ])
    expect(points.length).toBeGreaterThan(5000)
    const met = new Set<number>()
    for (const point of points) {
      findPoint(Float64Array.from(point))
      for (let tree = 0; tree < TREES; tree++) {
        const leaf = leafIn(tree)
        met.add(leaf)
        if (leaf < firstLeaf(tree) || leaf >= firstLeaf(tree + 1) || nodeOfLeaf(leaf) !== leafOf(tree, point))
          expect.fail(`tree ${tree}: ${point} is said to lie in leaf ${leaf}`)
      }
    }
    expect(met.size).toBe(LEAVES)
  })

  it.each(Object.entries(WORLDS))('say of a series (%s) what walks down all of them say', (_, next) => {
    const random = mulberry32(9)
    const rows = new LazyRows(HALF_SPACE.columns)
    const state = rows.ensure(0)
    const first = next(0, random)
    const paper = new PaperTrees(first)
    HALF_SPACE.start(state, 1, first)
    for (let t = 0; t < 2000; t++) {
      const x = next(t, random)
      const weight = random() < 0.9 ? 1 : random()
      expect(HALF_SPACE.strangeness(state, x)).toBe(paper.strangeness(x))
      HALF_SPACE.learn(state, x, weight, t)
      paper.learn(x, weight)
    }
  })

  it('go on from what version 1 saved; begin anew where its trees were others', () => {
    const run = () => {
      const series = new SeriesTable(1)
      series.intern(testSeries('s'))
      const detector = new KernelDetector({ series, stepMs: 60_000 }, HALF_SPACE)
      const batch = featureBatch(1, 0)
      const out = scoreBatch(1)
      batch.length = 1
      const next = (t: number, x: number) => {
        batch.windowEndMs[0] = 60_000 * (t + 1)
        batch.observed[0] = x
        detector.scoreNow(batch, out)
        detector.learn(batch, Float32Array.of(1))
        return [out.score[0], out.point[0], out.incident[0]]
      }
      return { detector, next }
    }
    const [known, restored, foreign] = [run(), run(), run()]
    const random = mulberry32(2)
    const values = Array.from({ length: 2000 }, (_, t) => WORLDS.wave(t, random))
    const paper = new PaperTrees(values[0])
    for (const [t, x] of values.slice(0, 1130).entries()) {
      known.next(t, x)
      paper.learn(x, 1)
    }
    const { columns } = known.detector.snapshot()
    const saved = paper.snapshot('s', columns)
    restored.detector.restore(saved)
    expect(restored.detector.snapshot()).toEqual(known.detector.snapshot())
    for (let t = 1130; t < values.length; t++)
      expect(restored.next(t, values[t])).toEqual(known.next(t, values[t]))

    foreign.detector.restore(paper.snapshot('s', columns, 77))
    const anew = foreign.detector.snapshot().columns
    for (const name of ['seen', 'isSettled', 'density', 'latest'])
      expect(anew[name].every(value => value === 0)).toBe(true)
    const cut = { ...saved, columns: { ...saved.columns, latest: saved.columns.latest.slice(1) } }
    expect(() => run().detector.restore(cut)).toThrow(
      expect.objectContaining({ code: 'FS_SNAPSHOT_INVALID' }),
    )
  })
})
