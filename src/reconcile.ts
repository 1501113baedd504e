import { keyed } from './checkpoint.ts'
import type { Config } from './config/schema.ts'
import type { Anomaly } from './core/anomaly.ts'
import { unitOf } from './core/metric-kind.ts'
import type { Checkpoint } from './core/ports.ts'
import { type SeriesMeta, savedMetas } from './core/series.ts'
import type { Snapshot } from './core/snapshot.ts'
import { DERIVED } from './features/panes.ts'
import { metaOf, rateUnit } from './ingest/naming.ts'
import { INTAKE_DEFAULTS, type IntakeOptions } from './ingest/options.ts'

/** What of the configuration the learned state rests on, as it was when the checkpoint was saved. */
interface Basis {
  readonly entityLabels: Config['ingest']['entityLabels']
  readonly overrides: Config['ingest']['overrides']
  readonly expressions: Config['features']['expressions']
  readonly profile: Config['detection']['profile']
  readonly profiles: Config['detection']['profiles']
}

const ID = 'configuration'
const VERSION = 1

function basisOf({ ingest, features, detection }: Config): Basis {
  const { entityLabels, overrides } = ingest
  const { profile, profiles } = detection
  return { entityLabels, overrides, expressions: features.expressions, profile, profiles }
}

/** The configuration as a part of the checkpoint, so that the next start can see what changed. */
export class ConfigurationMemory {
  readonly #config: Config

  constructor(config: Config) {
    this.#config = config
  }

  snapshot(): Snapshot[] {
    return [{ id: ID, version: VERSION, keys: [], columns: {}, meta: structuredClone(basisOf(this.#config)) }]
  }

  /** What was saved is read by `reconciled`, before anything is restored. */
  restore(): void {}
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/**
 * A checkpoint as the present configuration would have made it: series are described anew (entity, unit, kind), series of
 * expressions that are gone or read otherwise are taken out, and what was open about either is told as closed. A changed
 * step is no matter of this: no part can read its state then, see `resume`.
 */
export function reconciled(
  saved: Checkpoint,
  config: Config,
  options: Partial<IntakeOptions>,
  onWarning: (text: string) => void,
): Checkpoint {
  const was = saved.parts.find(part => part.id === ID && part.version === VERSION)?.meta as Basis | undefined
  if (!was || !saved.parts.some(part => part.id === 'series')) return saved
  const now = basisOf(config)
  if (!same([was.profile, was.profiles], [now.profile, now.profiles]))
    onWarning('detection.profile changed: the daily shapes of series with another profile are learned anew')
  if (same(was, now)) return saved

  const checkpoint = keyed(saved)
  const table = checkpoint.parts.find(part => part.id === 'series') as Snapshot
  const before = savedMetas(table)
  const derived = derivedKeys(checkpoint)
  const stale = staleMetrics(was, now)
  const changed = new Set<string>()
  const gone = new Set<string>()
  const metas = before.metas.map(meta => {
    if (meta === null) return null
    if (derived.has(meta.key)) {
      if (!stale.has(meta.metric)) return meta
      gone.add(meta.key)
      return null
    }
    const anew = metaOf(meta.tenant, meta.metric, meta.labels, declaredUnit(meta, was), {
      ...INTAKE_DEFAULTS,
      ...options,
    })
    if (!same(shape(anew), shape(meta))) changed.add(meta.key)
    return changed.has(meta.key) ? anew : meta
  })
  if (changed.size === 0 && gone.size === 0) return saved
  if (gone.size > 0)
    onWarning(`${gone.size} derived series are dropped: their expression is gone or reads otherwise`)
  if (changed.size > 0)
    onWarning(
      `${changed.size} series have another entity, unit or kind now: what was open about them is closed`,
    )
  const free = [...before.free, ...metas.flatMap((meta, row) => (meta || !before.metas[row] ? [] : [row]))]
  const keys = table.keys.map(key => (gone.has(key) ? '' : key))
  const parts = checkpoint.parts
    // Disruptions are about entities: under other names they would never end. Those open are retracted at the start.
    .filter(part => part.id !== 'disruptions' || changed.size === 0)
    .map(part =>
      part.id === 'series' ? { ...part, version: 1, columns: {}, keys, meta: { metas, free } } : part,
    )
    // Plain series have one of their own, and so has every worker.
    .map(part => (part.id.endsWith('hysteresis') ? closing(part, changed) : part))
  return { ...checkpoint, parts }
}

const shape = ({ entity, unit, kind, bad }: SeriesMeta) => [entity, unit, kind, bad]

/** Keys of the series that expressions made. */
function derivedKeys({ parts }: Checkpoint): Set<string> {
  const windows = parts.find(part => part.id === 'windows')
  const flags = windows?.columns.flags
  if (!windows || flags === undefined) return new Set()
  return new Set(windows.keys.filter((_, row) => (flags[row] & DERIVED) !== 0))
}

/** Metrics of expressions that were and are not, or are another expression now. */
function staleMetrics(was: Basis, now: Basis): Set<string> {
  const stale = was.expressions.filter(one => !now.expressions.some(other => same(other, one)))
  // Where an entity comes from decides which series an expression joins.
  const all = same(was.entityLabels, now.entityLabels) ? stale : was.expressions
  return new Set(all.map(({ metric }) => metric))
}

/** The unit without an override that was in force: that it replaced is not known, so the name speaks again. */
function declaredUnit({ metric, unit }: SeriesMeta, was: Basis): string {
  const base = metric.replace(/:(rate|count|mean|p\d+(\.\d+)?)$/, '')
  const override = was.overrides.find(one => one.metric === metric || one.metric === base)
  if (override?.unit === undefined) return unit
  return metric.endsWith(':rate') || metric.endsWith(':count') ? rateUnit(unitOf(base)) : unitOf(base)
}

/** Open anomalies of changed series become such that are told as closed. */
function closing(part: Snapshot, changed: ReadonlySet<string>): Snapshot {
  const { open, orphans } = part.meta as { open: { anomaly: Anomaly }[]; orphans: Anomaly[] }
  const left = open.filter(({ anomaly }) => !changed.has(anomaly.key))
  const closed = open.filter(({ anomaly }) => changed.has(anomaly.key)).map(({ anomaly }) => anomaly)
  const columns = Object.fromEntries(
    Object.entries(part.columns).map(([name, column]) => {
      const copy = column.slice()
      for (const [row, key] of part.keys.entries()) if (changed.has(key)) copy[row] = 0
      return [name, copy]
    }),
  )
  return {
    ...part,
    columns,
    meta: { ...(part.meta as object), open: left, orphans: [...orphans, ...closed] },
  }
}
