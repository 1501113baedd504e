import type { ExplainedSuspect } from '../core/stages.ts'
import { ALL_RULES, type CauseRules } from '../disruptions/cause.ts'
import { jaccard } from '../evaluate/ranking.ts'
import { mulberry32 } from '../math/mulberry32.ts'
import { onsetOf } from './explain.ts'
import type { LocaliseCase, LocaliseGroup } from './rca-data.ts'
import { RecordedWorld } from './recorded-world.ts'
import type { Recording } from './recording.ts'

/** Ways to ask: the first is the headline, the others say what a part is worth or stand for chance. */
export const VARIANTS = [
  'shipped',
  'onset 60 s late',
  'with alert',
  'without alert',
  'no topology',
  'no changes',
  'tail only',
  'sigma only',
  'no inferred rule',
  'no second family',
  'random order',
] as const
export type Variant = (typeof VARIANTS)[number]

/** One answer to one question. */
export interface LocaliseAnswer {
  readonly set: string
  readonly id: string
  readonly truth: readonly string[]
  readonly ranked: Readonly<Record<Variant, readonly string[]>>
  /** Of the disruption that was open at the time, against root and victims; NaN where the set names none. */
  readonly blast: number
}

/** Sets in which the published task names the alerting entity and metric; elsewhere it would be a hint. */
const ALERTED: ReadonlySet<string> = new Set(['petshop'])
const LATE_MS = 60_000
const SEED = 20_261_120

const RULES: Partial<Record<Variant, CauseRules>> = {
  'no topology': { ...ALL_RULES, topology: false },
  'no changes': { ...ALL_RULES, changes: false },
  'tail only': { ...ALL_RULES, sigma: false },
  'sigma only': { ...ALL_RULES, tail: false },
  'no inferred rule': { ...ALL_RULES, inferred: false },
  'no second family': { ...ALL_RULES, secondFamily: false },
}

/** Plays a recording once and asks every question of it in every variant. */
export async function localise(group: LocaliseGroup): Promise<LocaliseAnswer[]> {
  const recording = await group.load()
  const { firstMs, lastMs } = recording.span()
  const world = new RecordedWorld({
    stepMs: group.stepMs,
    windows: Math.ceil((lastMs - firstMs) / group.stepMs) + 2,
    environment: {},
  })
  await recording.play(world)
  const entities = entitiesOf(recording)
  return group.cases.map((one, i) => {
    const ask = (variant: Variant): readonly string[] => {
      if (variant === 'random order') return shuffled(entities, SEED + i)
      const onsetMs = onsetOf(
        recording,
        one.atMs + (variant === 'onset 60 s late' ? LATE_MS : 0),
        group.stepMs,
      )
      const alert = usesAlert(group.set, variant) ? one.alert : undefined
      const suspects = world.explain(onsetMs, onsetMs - firstMs + group.stepMs, alert, RULES[variant])
      return suspects.map((suspect: ExplainedSuspect) => suspect.entity)
    }
    const ranked = Object.fromEntries(VARIANTS.map(variant => [variant, ask(variant)]))
    return {
      set: group.set,
      id: one.id,
      truth: one.truth,
      ranked: ranked as Record<Variant, readonly string[]>,
      blast: blastOf(world, one),
    }
  })
}

function usesAlert(set: string, variant: Variant): boolean {
  if (variant === 'with alert') return true
  return variant !== 'without alert' && ALERTED.has(set)
}

function entitiesOf(recording: Recording): string[] {
  const names = new Set<string>()
  for (const [, meta] of recording.table.metas()) if (!meta.entity.startsWith('__')) names.add(meta.entity)
  return [...names].sort()
}

/** Fisher and Yates, seeded. */
function shuffled(names: readonly string[], seed: number): string[] {
  const random = mulberry32(seed)
  const out = [...names]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[out[i], out[j]] = [out[j], out[i]]
  }
  return out
}

/** Entities of the disruption nearest the alert, at its largest, against the root and its victims. */
function blastOf(world: RecordedWorld, { atMs, truth, blast }: LocaliseCase): number {
  if (blast === undefined) return Number.NaN
  let best: { readonly entities: readonly string[]; readonly far: number } | undefined
  for (const { disruption } of world.events) {
    const from = Date.parse(disruption.startedAt)
    const to = disruption.resolvedAt === null ? Number.POSITIVE_INFINITY : Date.parse(disruption.resolvedAt)
    const far = atMs < from ? from - atMs : atMs > to ? atMs - to : 0
    const larger = far === best?.far && disruption.entities.length > best.entities.length
    if (!best || far < best.far || larger) best = { entities: disruption.entities, far }
  }
  return best ? jaccard(best.entities, [...truth, ...blast]) : 0
}
