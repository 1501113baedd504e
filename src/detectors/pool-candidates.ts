/** A series that may come into the pool for suspects. */
export interface Candidate {
  /** Row of the ensemble's table. */
  readonly series: number
  /** Of the entity when it is a golden signal, 0..1. */
  readonly importance: number
  /** −1 for a golden signal that is no suspect. */
  readonly surprise: number
}

type Order = (a: Candidate, b: Candidate) => number

/** Who of a window may come in: of however many rows only those are held that can, the best first. */
export class PoolCandidates {
  /** Golden signals of entities that matter, the most important first. */
  readonly golden: Candidate[] = []
  /** All, the most surprising first. */
  readonly all: Candidate[] = []
  goldenCount = 0
  suspectCount = 0
  readonly #goldenMost: number
  readonly #allMost: number
  readonly #byImportance: Order
  readonly #bySurprise: Order

  /** `keyOf` tells apart, by row, who is alike otherwise. */
  constructor(goldenMost: number, allMost: number, keyOf: (series: number) => string) {
    this.#goldenMost = goldenMost
    this.#allMost = allMost
    const byKey: Order = (a, b) => (keyOf(a.series) < keyOf(b.series) ? -1 : 1)
    this.#byImportance = (a, b) => b.importance - a.importance || byKey(a, b)
    this.#bySurprise = (a, b) => b.surprise - a.surprise || byKey(a, b)
  }

  add(one: Candidate): void {
    if (one.surprise >= 0) this.suspectCount++
    if (one.importance > 0) {
      this.goldenCount++
      put(this.golden, one, this.#goldenMost, this.#byImportance)
    }
    put(this.all, one, this.#allMost, this.#bySurprise)
  }

  clear(): void {
    this.golden.length = 0
    this.all.length = 0
    this.goldenCount = 0
    this.suspectCount = 0
  }

  /** The series is no more: another in its row is another. */
  forget(series: number): void {
    for (const list of [this.golden, this.all]) {
      const at = list.findIndex(one => one.series === series)
      if (at >= 0) list.splice(at, 1)
    }
  }
}

/** Puts one into a short list in order, from which the last falls out when there are too many. */
function put(list: Candidate[], one: Candidate, most: number, order: Order): void {
  if (list.length === most && order(list[most - 1], one) < 0) return
  let at = list.length
  while (at > 0 && order(one, list[at - 1]) < 0) at--
  list.splice(at, 0, one)
  if (list.length > most) list.pop()
}
