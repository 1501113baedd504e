import type { Snapshot } from '../../src/core/snapshot.ts'
import { mix32 } from '../../src/math/hash.ts'

/**
 * Half-space trees as the paper has them: every point walks down every tree, and every node counts. The same trees are drawn, and the same
 * numbers come out in the same order, so src/detectors/half-space.ts must say the same to the bit.
 */
export const TREES = 25
const DEPTH = 9
const INNER = 2 ** DEPTH - 1
export const NODES = 2 ** (DEPTH + 1) - 1
export const COMMON = 0x5eed_7ee5
const WINDOW = 200
const SETTLING = 50
const LIGHT = 20
const LEAST = Math.sqrt((WINDOW * DEPTH) / (1 + WINDOW * 2 ** DEPTH))

const drawn = (place: number) => (mix32(COMMON ^ Math.imul(place + 1, 0x9e3779b1)) >>> 0) / 4_294_967_296
const halves = new Uint8Array(TREES * INNER)
export const middles = new Float64Array(TREES * INNER)

function grow(tree: number, node: number, low: readonly number[], high: readonly number[]): void {
  if (node >= INNER) return
  const place = tree * INNER + node
  const d = Math.floor(2 * drawn(2 * TREES + place))
  const middle = (low[d] + high[d]) / 2
  halves[place] = d
  middles[place] = middle
  grow(tree, 2 * node + 1, low, high.with(d, middle))
  grow(tree, 2 * node + 2, low.with(d, middle), high)
}

for (let tree = 0; tree < TREES; tree++) {
  const centres = [0, 1].map(d => drawn(2 * tree + d))
  const reach = centres.map(centre => 2 * Math.max(centre, 1 - centre))
  grow(
    tree,
    0,
    centres.map((centre, d) => centre - reach[d]),
    centres.map((centre, d) => centre + reach[d]),
  )
}

/** The node below one that a point goes to. */
export function below(tree: number, node: number, point: readonly number[]): number {
  const place = tree * INNER + node
  return 2 * node + (point[halves[place]] < middles[place] ? 1 : 2)
}

export function leafOf(tree: number, point: readonly number[]): number {
  let node = 0
  while (node < INNER) node = below(tree, node, point)
  return node
}

export class PaperTrees {
  seen = 0
  isSettled = false
  centre = 0
  spread = 0
  latestCentre = 0
  latestSpread = 0
  nextCentre = 0
  nextSpread = 0
  recent: number[]
  reference = new Uint8Array(TREES * NODES)
  latest = new Uint8Array(TREES * NODES)

  constructor(x: number) {
    this.recent = [x, x]
  }

  #place(x: number, centre: number, spread: number): number[] {
    const scale = spread + 1e-9 * Math.abs(centre) + 1e-12
    return [this.recent[1], x].map(value => {
      const u = (value - centre) / scale
      return 0.5 + (0.5 * u) / (1 + Math.abs(u))
    })
  }

  strangeness(x: number): number {
    const point = this.#place(x, this.centre, this.spread)
    let product = 1
    for (let tree = 0; tree < TREES; tree++) product *= 1 + density(this.reference, tree, point)
    return Math.max(0, Math.sqrt((WINDOW * DEPTH) / product ** (1 / TREES)) - LEAST)
  }

  learn(x: number, weight: number): void {
    if (weight > 0.5 || !this.isSettled) {
      if (this.isSettled) this.#count(this.#place(x, this.latestCentre, this.latestSpread))
      const n = ++this.seen
      if (n === 1) {
        this.nextCentre = x
        this.nextSpread = 0
      } else {
        this.nextSpread += (Math.abs(x - this.nextCentre) - this.nextSpread) / n
        this.nextCentre += (x - this.nextCentre) / n
      }
      if (n >= (this.isSettled ? WINDOW : SETTLING)) this.#turn()
    }
    this.recent = [this.recent[1], x]
  }

  #count(point: readonly number[]): void {
    for (let tree = 0; tree < TREES; tree++)
      for (let node = 0; ; node = below(tree, node, point)) {
        this.latest[tree * NODES + node]++
        if (node >= INNER) break
      }
  }

  #turn(): void {
    if (this.isSettled) {
      this.reference.set(this.latest)
      this.latest.fill(0)
      this.centre = this.latestCentre
      this.spread = this.latestSpread
    }
    this.latestCentre = this.nextCentre
    this.latestSpread = this.nextSpread
    this.isSettled = true
    this.seen = 0
  }

  /** What version 1 of `hst@1` saved of it; `rest`: columns that are not the trees'. */
  snapshot(key: string, rest: Snapshot['columns'], seed = COMMON): Snapshot {
    const columns = {
      ...rest,
      seed: Uint32Array.of(seed),
      seen: Uint32Array.of(this.seen),
      isSettled: Uint8Array.of(this.isSettled ? 1 : 0),
      centre: Float64Array.of(this.centre),
      spread: Float64Array.of(this.spread),
      latestCentre: Float64Array.of(this.latestCentre),
      latestSpread: Float64Array.of(this.latestSpread),
      nextCentre: Float64Array.of(this.nextCentre),
      nextSpread: Float64Array.of(this.nextSpread),
      recent: Float64Array.from(this.recent),
      reference: this.reference.slice(),
      latest: this.latest.slice(),
    }
    return { id: 'hst@1', version: 1, keys: [key], columns, meta: null }
  }
}

function density(reference: Uint8Array, tree: number, point: readonly number[]): number {
  let node = 0
  let scale = 1
  while (reference[tree * NODES + node] > LIGHT && node < INNER) {
    node = below(tree, node, point)
    scale *= 2
  }
  return reference[tree * NODES + node] * scale
}
