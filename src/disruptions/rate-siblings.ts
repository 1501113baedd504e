import type { Grouping, LeafTable } from './leaf-table.ts'
import { type Candidate, judgeRate, type RateSums } from './rate-score.ts'

/** Values of one attribute that rose together: two bit rates, three regions. */

/** Values that are named together at most. */
const MOST_TOGETHER = 3
/** A further value must make the score this much larger: it carries about a fifth of what rose. */
const LEAST_GAIN = 1.5
/** Values that make up more than this share of what they differ within are that whole, which is shorter to say. */
const MOST_OF_WHOLE = 0.8
/** Candidates of one set of attributes that are tried, those with the largest rise first. */
const MOST_TRIED = 50

interface Whole {
  readonly total: RateSums
  readonly usual: number
  readonly sets: readonly Grouping[]
  /** Sums of every group, by the attributes of its grouping; smaller sets are there before larger ones. */
  readonly sums: ReadonlyMap<string, readonly RateSums[]>
}

/**
 * Takes the candidate of a grouping that rose most and adds others that differ from it in the value of one and the same
 * attribute, while that makes the explanation clearly better. Undefined where one value says it all. The score is
 * comparable with that of single combinations: what a value had to gain is taken off again.
 */
export function siblings(
  table: LeafTable,
  candidates: readonly Candidate[],
  whole: Whole,
): { names: Candidate[]; score: number } | undefined {
  const rise = ({ sums }: Candidate): number => sums.v - sums.expected
  const [seed, ...others] = [...candidates].sort((a, b) => rise(b) - rise(a)).slice(0, MOST_TRIED)
  if (!seed) return undefined
  const names = [seed]
  let [sums, score, differs] = [seed.sums, seed.score, -1]
  for (const other of others) {
    if (names.length === MOST_TOGETHER) break
    const dimension = soleDifference(table, seed, other)
    if (dimension < 0 || (differs >= 0 && differs !== dimension)) continue
    const joint = plus(sums, other.sums)
    if (joint.n > MOST_OF_WHOLE * around(seed, dimension, whole)) continue
    const judged = judgeRate(joint, whole.total, whole.usual, names.length + 1)
    if (judged.score <= LEAST_GAIN * score) continue
    names.push(other)
    ;[sums, score, differs] = [joint, judged.score, dimension]
  }
  return names.length === 1 ? undefined : { names, score: score / LEAST_GAIN ** (names.length - 1) }
}

function plus(a: RateSums, b: RateSums): RateSums {
  return { v: a.v + b.v, n: a.n + b.n, hv: a.hv + b.hv, hn: a.hn + b.hn, expected: 0 }
}

/** The one dimension in which two groups of a grouping differ, −1 where it is not one. */
function soleDifference(table: LeafTable, a: Candidate, b: Candidate): number {
  let found = -1
  for (const dimension of a.grouping.set) {
    const codes = table.codes(dimension)
    if (codes[a.grouping.first[a.group]] === codes[b.grouping.first[b.group]]) continue
    if (found >= 0) return -1
    found = dimension
  }
  return found
}

/** Denominator of everything that is like a candidate but for one attribute. */
function around({ grouping, group }: Candidate, dimension: number, { total, sets, sums }: Whole): number {
  const rest = grouping.set.filter(one => one !== dimension)
  const key = rest.join()
  const parent = rest.length === 0 ? undefined : sets.find(one => one.set.join() === key)
  const own = sums.get(key)
  return parent && own ? own[parent.group[grouping.first[group]]].n : total.n
}
