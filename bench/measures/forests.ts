// Goals 5 and 6: our random cut forest against AWS's in Java and our half-space trees against river's, on the same stream, in CPU
// time, with the rank correlation of what they say.
// node --expose-gc --import tsx bench/measures/forests.ts [--quick] [--points N]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CUT_FOREST } from '../../src/detectors/cut-forest.ts'
import { HALF_SPACE } from '../../src/detectors/half-space.ts'
import { LazyRows } from '../../src/detectors/lazy-rows.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { cpuNs, type Measured, median, QUICK, say } from '../measure.ts'
import { type PeerRun, runJavaForest, runRiverTrees } from '../peers/forests.ts'

const { values: args } = parseArgs({
  options: { quick: { type: 'boolean' }, points: { type: 'string', default: QUICK ? '2000' : '20000' } },
})
const points = Number(args.points)
const passes = QUICK ? 1 : 8
const WARM_POINTS = 1000
/** Passes before any that counts: of a fast forest one is over before it is compiled. */
const WARM_PASSES = QUICK ? 1 : 5

/** A day's sine with noise, a slow drift, bursts and steps: what a service's latency looks like. */
function stream(): Float64Array {
  const random = mulberry32(11)
  const values = new Float64Array(points)
  for (let t = 0; t < points; t++) {
    const noise = random() + random() + random() - 1.5
    const burst = random() < 0.002 ? 4 + 4 * random() : 0
    const step = t % 5000 > 4800 ? 3 : 0
    values[t] = 10 + 2 * Math.sin((2 * Math.PI * t) / 1440) + 0.5 * noise + burst + step
  }
  return values
}

/** Points of the last `dimensions` values, the oldest first. */
function shingles(values: Float64Array, dimensions: number): Float64Array {
  const out = new Float64Array(values.length * dimensions)
  for (let t = 0; t < values.length; t++)
    for (let d = 0; d < dimensions; d++) out[t * dimensions + d] = values[Math.max(0, t - dimensions + 1 + d)]
  return out
}

interface OwnRun {
  readonly ns: number
  readonly bytes: number
  readonly scores: Float64Array
}

function own(kernel: typeof CUT_FOREST | typeof HALF_SPACE, values: Float64Array, seed: number): OwnRun {
  const rows = new LazyRows(kernel.columns as never, kernel.home?.())
  const state = rows.ensure(0) as never
  const scores = new Float64Array(values.length)
  const before = cpuNs()
  kernel.start(state, seed, values[0])
  for (let t = 0; t < values.length; t++) {
    scores[t] = kernel.strangeness(state, values[t])
    kernel.learn(state, values[t], 1, t)
  }
  return { ns: (cpuNs() - before) / values.length, bytes: rows.rowBytes, scores }
}

function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a] - values[b])
  const out = new Float64Array(values.length)
  for (let from = 0; from < order.length; ) {
    let to = from + 1
    while (to < order.length && values[order[to]] === values[order[from]]) to++
    for (let i = from; i < to; i++) out[order[i]] = (from + to - 1) / 2
    from = to
  }
  return out
}

/** Spearman's. */
function rankCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [ranks(a), ranks(b)]
  const mean = (x.length - 1) / 2
  let [xy, xx, yy] = [0, 0, 0]
  for (let i = 0; i < x.length; i++) {
    xy += (x[i] - mean) * (y[i] - mean)
    xx += (x[i] - mean) ** 2
    yy += (y[i] - mean) ** 2
  }
  return xy / Math.sqrt(xx * yy)
}

const folder = mkdtempSync(join(tmpdir(), 'foreshock-forests-'))
const values = stream()

function file(name: string, numbers: Float64Array): string {
  const path = join(folder, name)
  writeFileSync(path, new Uint8Array(numbers.buffer))
  return path
}

/** One run of theirs beside one of ours, by turns. */
function turns(kernel: typeof CUT_FOREST | typeof HALF_SPACE, theirs: (seed: number) => PeerRun) {
  for (let pass = 0; pass < WARM_PASSES; pass++) own(kernel, values, 1)
  const mine: OwnRun[] = []
  const peers: PeerRun[] = []
  for (let pass = 0; pass < passes; pass++) {
    mine.push(own(kernel, values, pass + 1))
    peers.push(theirs(pass + 1))
  }
  const [own_, other] = [mine, peers].map(runs =>
    runs.map(({ scores }) => Array.from(scores).slice(WARM_POINTS)),
  )
  const agreement = own_.map((scores, i) => rankCorrelation(scores, other[i]))
  // Forests of different seeds differ: what all seeds together say of a point is free of most of that.
  const together = rankCorrelation(sums(own_), sums(other))
  const among = (runs: readonly number[][]) => (runs.length < 2 ? 1 : rankCorrelation(runs[0], runs[1]))
  return { mine, peers, agreement, together, amongMine: among(own_), amongTheirs: among(other) }
}

function sums(runs: readonly number[][]): number[] {
  return runs[0].map((_, i) => runs.reduce((sum, scores) => sum + scores[i], 0))
}

function told(id: string, goal: string, name: string, run: ReturnType<typeof turns>): Measured[] {
  // The last pass of a run is the warmest: a JIT is not charged with its start.
  const theirs = run.peers.map(({ ns }) => Math.min(...ns))
  const ours = run.mine.map(({ ns }) => ns)
  const ratio = ours.map((ns, i) => (goal === 'goal.6' ? theirs[i] / ns : ns / theirs[i]))
  return [
    { id: goal, what: name, unit: '×', values: ratio },
    { id: `${id}.own`, what: '· ours, score and learn', unit: 'ns CPU/point', values: ours },
    { id: `${id}.theirs`, what: '· theirs, warm', unit: 'ns CPU/point', values: theirs },
    { id: `${id}.rank`, what: '· rank correlation of the two', unit: 'ρ', values: run.agreement },
    {
      id: `${id}.rank.together`,
      what: '· rank correlation of the sums over all seeds',
      unit: 'ρ',
      values: [run.together],
    },
    { id: `${id}.rank.own`, what: '· rank correlation of two of ours', unit: 'ρ', values: [run.amongMine] },
    {
      id: `${id}.rank.theirs`,
      what: '· rank correlation of two of theirs',
      unit: 'ρ',
      values: [run.amongTheirs],
    },
  ]
}

try {
  const eight = file('eight', shingles(values, 8))
  const cut = turns(CUT_FOREST, seed => runJavaForest(eight, 8, 30, 256, QUICK ? 1 : 3, seed))
  const bytes = median(cut.peers.map(peer => peer.bytes ?? Number.NaN))
  // river wants points in 0..1: theirs are placed by the range of the whole stream, which ours does not know.
  const two = shingles(values, 2)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  for (let i = 0; i < two.length; i++) two[i] = (two[i] - low) / (high - low)
  const placed = file('two', two)
  const river = { dimensions: 2, trees: 25, height: 9, window: 200, passes: 1 }
  const half = turns(HALF_SPACE, seed => runRiverTrees(placed, { ...river, seed }))
  say([
    ...told('rcf', 'goal.5', 'random cut forest 30×256 of 8 values: our CPU ÷ that of AWS’s in Java', cut),
    { id: 'rcf.bytes', what: '· our bytes ÷ theirs', unit: '×', values: [cut.mine[0].bytes / bytes] },
    ...told('hst', 'goal.6', 'half-space trees 25 of depth 9: CPU of river’s ÷ ours', half),
  ])
} finally {
  rmSync(folder, { recursive: true, force: true })
}
