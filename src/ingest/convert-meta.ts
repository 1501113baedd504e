import { ForeshockError } from '../core/errors.ts'
import type { Converter } from './convert.ts'
import type { Families } from './families.ts'
import { addMember, Statistics } from './groups.ts'
import type { PointMemory } from './points.ts'

/** The part of a checkpoint that holds what an intake knows. */
export const INGEST_PART = 'ingest'

export interface SavedGroup {
  readonly key: string
  readonly pattern: string
  readonly prevMs: number
  readonly curMs: number
  readonly seen: number
  readonly members: readonly number[]
  readonly statistics: readonly number[]
}

/** What groups, streams and families hold; JSON-safe. */
export interface ConverterMeta {
  readonly groups: readonly (SavedGroup | null)[]
  readonly streams: readonly {
    wire: number
    pattern: string
    statistics: number[]
    memory: PointMemory | null
  }[]
  readonly declared: Parameters<Families['restore']>[0]
  readonly grouped: readonly string[]
  readonly waiting: readonly (readonly [string, { suffix: string; wires: number[] }])[]
}

/** All but the groups; see group-columns.ts. */
export function metaOfConverter(convert: Converter): Omit<ConverterMeta, 'groups'> {
  const { families } = convert.plans
  return {
    streams: [...convert.plans.streams].map(([wire, { statistics, memory }]) => ({
      wire,
      pattern: statistics.pattern,
      statistics: [...statistics.wires],
      memory: memory ? structuredClone(memory) : null,
    })),
    declared: [...families.declared].map(([family, said]) => [family, { ...said }]),
    grouped: [...families.grouped],
    waiting: [...families.waiting].map(([family, { suffix, wires }]) => [
      family,
      { suffix, wires: [...wires] },
    ]),
  }
}

export function restoreMeta(convert: Converter, meta: ConverterMeta): void {
  restoreGroups(convert, meta)
  for (const { wire, pattern, statistics, memory } of meta.streams) {
    convert.plans.streams.set(wire, {
      statistics: statisticsOf(pattern, statistics),
      memory: memory ?? undefined,
    })
  }
  convert.plans.families.restore(meta.declared, meta.grouped, meta.waiting)
}

function restoreGroups(convert: Converter, meta: ConverterMeta): void {
  for (const [index, saved] of meta.groups.entries()) {
    if (!saved) {
      convert.plans.groups[index] = undefined
      convert.plans.freeGroups.push(index)
      continue
    }
    const group = {
      key: saved.key,
      statistics: statisticsOf(saved.pattern, saved.statistics),
      members: [] as number[],
      prevMs: saved.prevMs,
      curMs: saved.curMs,
      seen: saved.seen,
    }
    for (const wire of saved.members) addMember(convert.table, group, wire)
    convert.plans.groups[index] = group
    convert.plans.groupIndex.set(saved.key, index)
  }
}

function statisticsOf(pattern: string, wires: readonly number[]): Statistics {
  const statistics = new Statistics(pattern)
  statistics.wires.set(wires)
  return statistics
}

export function invalidIngest(detail: string): ForeshockError {
  return new ForeshockError('FS_SNAPSHOT_INVALID', `${INGEST_PART}: ${detail}`)
}
