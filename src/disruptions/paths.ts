import { type CallGraph, compare } from './graph.ts'

/** Neighbours looked at for one question: a hub that calls ten thousand must not cost as much in every window. */
const MOST_NEIGHBOURS = 2_000

/**
 * Whether two entities are joined by a call, or by one hop that says nothing: a directed path through somebody
 * in between, or a neighbour that both share and that nobody measures (a database without metrics explains both
 * of its callers; one that is measured and calm explains neither).
 */
export function joined(
  a: string,
  b: string,
  graph: CallGraph,
  isMeasured: (name: string) => boolean,
): boolean {
  if (a === b) return true
  const [calledByA, callsA] = [graph.callees(a), graph.callers(a)]
  if (has(calledByA, b) || has(callsA, b)) return true
  const [calledByB, callsB] = [graph.callees(b), graph.callers(b)]
  if (common(calledByA, callsB, undefined) || common(callsA, calledByB, undefined)) return true
  return common(calledByA, calledByB, isMeasured) || common(callsA, callsB, isMeasured)
}

function has(names: readonly string[], name: string): boolean {
  const end = Math.min(names.length, MOST_NEIGHBOURS)
  for (let i = 0; i < end; i++) if (names[i] === name) return true
  return false
}

/** Whether the lists share a name, other than one that `except` is true of. */
function common(
  left: readonly string[],
  right: readonly string[],
  except: ((name: string) => boolean) | undefined,
): boolean {
  if (left.length === 0 || right.length === 0) return false
  const [short, long] = left.length <= right.length ? [left, right] : [right, left]
  const wanted = new Set(short.slice(0, MOST_NEIGHBOURS))
  const end = Math.min(long.length, MOST_NEIGHBOURS)
  for (let i = 0; i < end; i++) if (wanted.has(long[i]) && !except?.(long[i])) return true
  return false
}

/**
 * The `most` entities nearest to some by calls in either direction, those themselves included; breadth first, and of as near ones
 * the least by name, whenever each call became known.
 */
export function nearest(from: readonly string[], graph: CallGraph, most: number): Set<string> {
  const out = new Set(from.slice(0, most))
  // A set that grows while it is walked is a queue.
  for (const name of out) {
    if (out.size >= most) break
    for (const list of [graph.callees(name), graph.callers(name)]) {
      const sorted = [...list].sort(compare)
      for (let i = 0; i < sorted.length && out.size < most; i++) out.add(sorted[i])
    }
  }
  return out
}

/** Groups `count` things of which some pairs belong together, directly or through others. In order of first member. */
export function clusters(count: number, together: (a: number, b: number) => boolean): number[][] {
  const left = Array.from({ length: count }, (_, i) => i)
  const out: number[][] = []
  for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
    const group = [seed]
    for (let i = 0; i < group.length; i++) {
      for (let j = 0; j < left.length; ) {
        if (together(group[i], left[j])) group.push(...left.splice(j, 1))
        else j++
      }
    }
    out.push(group.sort((a, b) => a - b))
  }
  return out
}
