import { z } from 'zod'
import { METRIC_KINDS } from '../core/metric-kind.ts'

/**
 * The card of a model package: what a model is, what it is given and what its answers mean. All that serving and
 * training must agree on stands here; nothing is guessed from the model's bytes.
 */
const name = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/)
const line = z.string().min(1).max(2000)
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)

const tensorSchema = z.strictObject({
  name: line,
  /** Columns; the first dimension is always the batch. */
  width: z.number().int().min(1).max(65_536),
})

/**
 * Which values make a row of the input.
 *
 * `views`: what features names, made by the detector that asks (combiners).
 * `series`: the last `length` windows of one series, oldest first; the newest is the one that is scored, except for
 * forecasts, which are given the `length` windows before it.
 * `entity`: the same of several metrics of one entity, metric after metric, each `length` windows oldest first. A metric
 * is a name, or `kind:latency` and so on for the strangest series of that kind, `kind:latency:2` for the second
 * strangest, `any:1` for the strangest of all; what an entity lacks is 0. See model-question.ts.
 */
const windowSchema = z.discriminatedUnion('of', [
  z.strictObject({ of: z.literal('views') }),
  z.strictObject({ of: z.literal('series'), length: z.number().int().min(1).max(4096) }),
  z.strictObject({
    of: z.literal('entity'),
    length: z.number().int().min(1).max(1024),
    metrics: z.array(line).min(1).max(256),
  }),
])

/**
 * What is done to values before the model sees them. NaN (a gap) becomes 0 after it.
 *
 * `none`: nothing. `window`: minus the median of the window, divided by 1.4826 times the median distance from it (never
 * less than 1e-3 of the median's size). `running`: minus the series' forgetting mean, divided by its forgetting mean
 * deviation (time constant `days`), both as they were before the newest value, clipped to ±20.
 */
const normalisationSchema = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('views'), text: line }),
  z.strictObject({ by: z.literal('none') }),
  z.strictObject({ by: z.literal('window') }),
  z.strictObject({ by: z.literal('running'), days: z.number().positive().max(60) }),
])

/**
 * What the output means. `combiner`: the logarithm of a factor on evidence. `score`: one number, higher is stranger.
 * `reconstruction`: the input again; the distance is the score, metric by metric for entities. `forecast`: the
 * `quantiles` of the next value, ascending, in normalised units; the score is how far outside the outer two it lies,
 * in units of their distance.
 */
const TASKS = ['combiner', 'score', 'reconstruction', 'forecast'] as const

export const cardSchema = z.strictObject({
  id: name,
  version: z.number().int().min(1),
  title: line,
  /** File beside the card: `onnx` is model.onnx; the other two are model.json with its weight files. */
  format: z.enum(['onnx', 'tfjs-layers', 'tfjs-graph']).default('onnx'),
  task: z.enum(TASKS),
  input: tensorSchema.extend({
    /** Names of the columns, in order. Left out, they follow from the window. */
    features: z.array(line).min(1).max(65_536).optional(),
    window: windowSchema.default({ of: 'views' }),
    normalisation: z.union([line.transform(text => ({ by: 'views' as const, text })), normalisationSchema]),
  }),
  output: tensorSchema.extend({
    meaning: line,
    quantiles: z.array(z.number().gt(0).lt(1)).min(2).max(9).optional(),
  }),
  /** Kinds of metrics whose series it looks at; all when left out. */
  scope: z.array(z.enum(METRIC_KINDS)).min(1).optional(),
  /** Windows as long as these are what it was trained on, ms; told when the service's step is another. */
  stepMs: z.number().positive().optional(),
  /** Operator sets by domain; `ai.onnx` is the standard one. Empty for TF.js. */
  opsets: z.record(line, z.number().int().min(1)).default({}),
  /** SHA-256 of model.onnx; for TF.js, of model.json followed by its weight files in the order it names them. */
  digest,
  training: z.strictObject({
    data: z.array(line).min(1),
    script: line,
    command: line,
    seed: z.number().int(),
    cost: line,
    /** Whether the same command gives the same digest. */
    repeatable: line,
  }),
  metrics: z.record(line, z.union([z.number(), line])),
  licence: line,
  /** Ships as an example of how it is done: it has not earned a place on its own. */
  example: z.boolean().optional(),
  budget: z.strictObject({ msPer256Rows: z.number().positive(), megabytes: z.number().positive() }),
})
export type ModelCard = z.output<typeof cardSchema>

/** Names of the input's columns, in order: those of the card, or what follows from its window. */
export function featuresOf({ input }: ModelCard): readonly string[] {
  if (input.features) return input.features
  const { window } = input
  if (window.of === 'views') return []
  const metrics = window.of === 'series' ? ['value'] : window.metrics
  return metrics.flatMap(metric =>
    Array.from({ length: window.length }, (_, k) => `${metric}[${k + 1 - window.length}]`),
  )
}
