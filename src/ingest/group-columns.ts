import type { ColumnData } from '../core/snapshot.ts'
import type { ConverterMeta, SavedGroup } from './convert-meta.ts'
import { type Group, STATISTICS } from './groups.ts'

/**
 * Groups of buckets in a checkpoint: numbers as columns, and of each group two texts that never change, so that a fleet of
 * histograms is saved without an object a group. A free place has an empty key.
 */
export interface GroupTexts {
  readonly groupKeys: readonly string[]
  readonly groupPatterns: readonly string[]
}

export function groupColumns(groups: readonly (Group | undefined)[]): {
  readonly columns: Record<string, ColumnData>
  readonly texts: GroupTexts
} {
  const { length } = groups
  let members = 0
  for (const group of groups) members += group?.members.length ?? 0
  const groupMs = new Float64Array(2 * length)
  const groupSeen = new Int32Array(length)
  const groupEnds = new Uint32Array(length)
  const groupMembers = new Int32Array(members)
  const groupStatistics = new Int32Array(STATISTICS.length * length)
  const groupKeys = new Array<string>(length).fill('')
  const groupPatterns = new Array<string>(length).fill('')
  let end = 0
  for (let i = 0; i < length; i++) {
    const group = groups[i]
    if (group !== undefined) {
      groupKeys[i] = group.key
      groupPatterns[i] = group.statistics.pattern
      groupMs[2 * i] = group.prevMs
      groupMs[2 * i + 1] = group.curMs
      groupSeen[i] = group.seen
      groupStatistics.set(group.statistics.wires, STATISTICS.length * i)
      for (let m = 0; m < group.members.length; m++) groupMembers[end++] = group.members[m]
    }
    groupEnds[i] = end
  }
  return {
    columns: { groupMs, groupSeen, groupEnds, groupMembers, groupStatistics },
    texts: { groupKeys, groupPatterns },
  }
}

/** The groups of columns; undefined when they are missing or of another shape. */
export function savedGroups(
  columns: Readonly<Record<string, ColumnData>>,
  { groupKeys, groupPatterns }: GroupTexts,
): ConverterMeta['groups'] | undefined {
  const { groupMs, groupSeen, groupEnds, groupMembers, groupStatistics } = columns
  const { length } = groupKeys
  const good =
    groupMs instanceof Float64Array &&
    groupMs.length === 2 * length &&
    groupSeen instanceof Int32Array &&
    groupSeen.length === length &&
    groupEnds instanceof Uint32Array &&
    groupEnds.length === length &&
    groupMembers instanceof Int32Array &&
    groupMembers.length === (length === 0 ? 0 : groupEnds[length - 1]) &&
    groupStatistics instanceof Int32Array &&
    groupStatistics.length === STATISTICS.length * length &&
    groupPatterns.length === length
  if (!good) return undefined
  return groupKeys.map((key, i): SavedGroup | null =>
    key === ''
      ? null
      : {
          key,
          pattern: groupPatterns[i],
          prevMs: groupMs[2 * i],
          curMs: groupMs[2 * i + 1],
          seen: groupSeen[i],
          members: Array.from(groupMembers.subarray(i === 0 ? 0 : groupEnds[i - 1], groupEnds[i])),
          statistics: Array.from(
            groupStatistics.subarray(STATISTICS.length * i, STATISTICS.length * (i + 1)),
          ),
        },
  )
}
