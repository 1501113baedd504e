import { METRIC_KINDS, type MetricKind } from '../core/metric-kind.ts'
import type { SeriesMeta } from '../core/series.ts'
import type { ModelCard } from './model-card.ts'

/** What of a card decides how a version is asked and what its answers mean; plain, so that it is saved with its state. */
export interface ModelPlan {
  /** Such as `onnx:service-ae@3`: what evidence names. */
  readonly name: string
  readonly of: 'series' | 'entity'
  /** Windows a metric. */
  readonly length: number
  /** Metrics of an entity, as the card names them; one of them, without a name, for a series. */
  readonly metrics: readonly string[]
  readonly task: 'score' | 'reconstruction' | 'forecast'
  readonly by: 'none' | 'window' | 'running'
  /** Time constant of `running`. */
  readonly days: number | null
  readonly scope: readonly MetricKind[] | null
  readonly inputWidth: number
  readonly outputWidth: number
  /** Quantiles of a forecast, fewest two; else none. */
  readonly quantiles: readonly number[]
}

/** Time constant of the levels that tell which of several series is the strangest, days. */
export const LEVEL_DAYS = 1

/** How a card is served, or why it cannot be. */
export function planOf(card: ModelCard): ModelPlan | string {
  const { id, version, format, task, input, output, scope } = card
  const { window, normalisation } = input
  if (task === 'combiner' || window.of === 'views' || normalisation.by === 'views')
    return `${id}@${version} weighs what detectors say, and scores nothing by itself`
  const metrics = window.of === 'series' ? ['value'] : window.metrics
  if (input.width !== metrics.length * window.length)
    return `${id}@${version}: ${metrics.length} × ${window.length} windows are not ${input.width} columns`
  const quantiles = task === 'forecast' ? (output.quantiles ?? []) : []
  const bad = metrics.find(name => window.of === 'entity' && typeof slotOf(name) === 'string')
  if (bad !== undefined) return `${id}@${version}: ${slotOf(bad) as string}`
  if (
    task === 'forecast' &&
    (quantiles.length < 2 || quantiles.some((q, i) => i > 0 && q <= quantiles[i - 1]))
  )
    return `${id}@${version} forecasts: its card must name the quantiles, ascending`
  const widths = {
    score: [1, metrics.length],
    reconstruction: [input.width],
    forecast: [metrics.length * quantiles.length],
  }[task]
  if (!widths.includes(output.width))
    return `${id}@${version}: a ${task} has ${widths.join(' or ')} outputs, not ${output.width}`
  return {
    name: modelName(id, version, format),
    of: window.of,
    length: window.length,
    metrics,
    task,
    by: normalisation.by,
    days: normalisation.by === 'running' ? normalisation.days : null,
    scope: scope ?? null,
    inputWidth: input.width,
    outputWidth: output.width,
    quantiles,
  }
}

/** Windows before the newest that must be known. */
export function pastOf(plan: ModelPlan): number {
  return plan.task === 'forecast' ? plan.length : plan.length - 1
}

/** Which of an entity's series a metric of a card stands for. */
export interface Slot {
  /** By name, by kind, or any. */
  readonly metric: string | undefined
  readonly kind: MetricKind | undefined
  /** Of those the strangest, the second strangest and so on, from 0. */
  readonly rank: number
}

/** A metric's name, `kind:latency`, `kind:latency:2` (the second strangest), `any:3`; the reason when it is none. */
export function slotOf(text: string): Slot | string {
  const ranked = /^(?:kind:([a-z]+)(?::(\d{1,3}))?|any:(\d{1,3}))$/.exec(text)
  if (!ranked) return { metric: text, kind: undefined, rank: 0 }
  const [, kind, ofKind, ofAny] = ranked
  const rank = Number(ofKind ?? ofAny ?? 1)
  if (rank < 1) return `'${text}': ranks begin at 1`
  if (kind === undefined) return { metric: undefined, kind: undefined, rank: rank - 1 }
  if (!(METRIC_KINDS as readonly string[]).includes(kind)) return `'${text}' is no kind of metric`
  return { metric: undefined, kind: kind as MetricKind, rank: rank - 1 }
}

/** Tells whether a version wants to see a series. */
export function wantsOf(plan: ModelPlan): (meta: SeriesMeta) => boolean {
  const { scope } = plan
  const slots = plan.of === 'series' ? [] : plan.metrics.map(text => slotOf(text) as Slot)
  return meta =>
    (scope === null || scope.includes(meta.kind)) &&
    (plan.of === 'series' || slots.some(slot => fits(slot, meta)))
}

export function fits(slot: Slot, meta: SeriesMeta): boolean {
  if (slot.metric !== undefined) return slot.metric === meta.metric
  return slot.kind === undefined || slot.kind === meta.kind
}

/** What evidence names a version by. */
export function modelName(model: string, version: number, format: string): string {
  return `${format === 'onnx' ? 'onnx' : 'tfjs'}:${model}@${version}`
}
