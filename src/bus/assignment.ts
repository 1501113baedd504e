import { murmur2 } from '../math/murmur2.ts'

/** A member of a group as it asks for partitions. */
export interface Candidate {
  /** Given by the engine, one a run. */
  readonly id: string
  /** Stays the same over restarts. */
  readonly name: string
  /** Partitions it still holds. */
  readonly owned: readonly number[]
}

const encoder = new TextEncoder()

/**
 * Who should hold which partition: a function of the members' names alone, so that a member which returns gets back what
 * it had, and one that leaves moves little beside its own. Rendezvous hashing (Thaler and Ravishankar, 1998) with loads
 * that differ by one at most. Members of one name are told apart by their order.
 */
export function wantedOwners(members: readonly Candidate[], partitions: number): Map<string, number[]> {
  const named = [...members].sort((a, b) => compare(a.name, b.name) || compare(a.id, b.id))
  const seen = new Map<string, number>()
  const labels = named.map(({ name }) => {
    const nth = seen.get(name) ?? 0
    seen.set(name, nth + 1)
    return nth === 0 ? name : `${name}#${nth}`
  })
  const loads = named.map((): number[] => [])
  if (named.length === 0) return new Map()
  const floor = Math.floor(partitions / named.length)
  let larger = partitions % named.length
  for (let partition = 0; partition < partitions; partition++) {
    let best = -1
    let bestScore = -1
    for (let m = 0; m < named.length; m++) {
      if (loads[m].length > floor || (loads[m].length === floor && larger === 0)) continue
      const score = murmur2(encoder.encode(`${partition}/${labels[m]}`)) >>> 0
      if (score <= bestScore) continue
      best = m
      bestScore = score
    }
    if (loads[best].length === floor) larger--
    loads[best].push(partition)
  }
  return new Map(named.map(({ id }, m) => [id, loads[m]]))
}

/**
 * What each member may hold from this round on: what it should hold, less what another still does. That one sees that it
 * is to let go, does, and asks for another round (the cooperative protocol of KIP-429), so no two ever hold one partition.
 */
export function nextOwners(members: readonly Candidate[], partitions: number): Map<string, number[]> {
  const holder = new Map<number, string | undefined>()
  // Two that claim one partition cannot both be right: it is given anew.
  for (const { id, owned } of members)
    for (const partition of owned) holder.set(partition, holder.has(partition) ? undefined : id)
  const wanted = wantedOwners(members, partitions)
  for (const [id, list] of wanted) {
    wanted.set(
      id,
      list.filter(partition => (holder.get(partition) ?? id) === id),
    )
  }
  return wanted
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
