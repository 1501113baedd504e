import { z } from 'zod'
import { METRIC_KINDS } from '../core/metric-kind.ts'
import { tenantName } from '../core/tenant.ts'
import { duration, numeric, timer } from './values.ts'

/** The parts of the configuration that are lists or stand for themselves. */

/** How often something comes again, in words. */
const EVERY = ['day', 'weekday', 'week', 'month', 'year']
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const

export const keySchema = z.strictObject({
  name: z.string().min(1),
  hash: z
    .string()
    .regex(
      /^sha256:[0-9a-f]{64}$/,
      'write sha256: and the hex digest; `foreshock key` makes a key and its hash',
    ),
  scopes: z.array(z.enum(['ingest', 'read', 'label', 'models', 'admin'])).min(1),
  tenant: tenantName.optional(),
})

export const edgeSchema = z.strictObject({ source: z.string().min(1), target: z.string().min(1) })

export const expressionSchema = z.strictObject({
  metric: z.string().min(1),
  expression: z.string().min(1),
  by: z.array(z.string()).default(['service']),
  unit: z.string().default(''),
  kind: z.enum(METRIC_KINDS).optional(),
  bad: z.enum(['up', 'down', 'both']).optional(),
  /** Names of the expression that are not metric names: which metric, with which labels. */
  where: z
    .record(
      z.string(),
      z.strictObject({ metric: z.string(), labels: z.record(z.string(), z.string()).optional() }),
    )
    .optional(),
})

export const overrideSchema = z.strictObject({
  metric: z.string().min(1),
  unit: z.string().optional(),
  kind: expressionSchema.shape.kind,
  bad: z.enum(['up', 'down', 'both']).optional(),
})

/** A daily shape of its own for the series that every glob given matches; see docs of `detection`. */
export const profileSchema = z.enum(['none', 'tiny', 'compact', 'full'])
export const profileRuleSchema = z
  .strictObject({
    series: z.string().min(1).optional(),
    metric: z.string().min(1).optional(),
    entity: z.string().min(1).optional(),
    profile: profileSchema,
  })
  .refine(rule => (rule.series ?? rule.metric ?? rule.entity) !== undefined, {
    message: 'name a series, metric or entity, `*` stands for any text',
  })

export const warmUpSchema = z
  .strictObject({
    /** A server whose past is learned from before anything live is judged. */
    prometheus: z
      .strictObject({
        url: z.url(),
        /** Range queries see one sample a step; remote read sees every sample. */
        api: z.enum(['query-range', 'remote-read']).default('query-range'),
        queries: z.array(z.string().min(1)).min(1).default(['{__name__!=""}']),
        /** Daily shapes need two days; a week or two teach weekends as well. */
        lookback: duration.default(2 * 86_400_000),
        /** Distance of the points asked for; without it the server's scrape interval. */
        step: duration.optional(),
        /** Labels that live samples carry besides; without them the server's external labels. */
        labels: z.record(z.string(), z.string()).optional(),
        headers: z.record(z.string(), z.string()).default({}),
        /** Environment variable that holds a bearer token. */
        tokenEnv: z.string().min(1).optional(),
        concurrency: numeric(z.number().int().min(1).max(32)).default(4),
      })
      .optional(),
    /** A recording or a folder of them, in the shapes that `replay` reads. */
    files: z.string().min(1).optional(),
    /** Learning from history ends after this long, wherever it stands. */
    limit: timer.default(30 * 60_000),
  })
  .refine(({ prometheus, files }) => prometheus === undefined || files === undefined, {
    message: 'write either prometheus or files: history has one source',
  })
  .prefault({})
export const word = z.string().min(1).max(512)
/** Which series: globs, `*` stands for any text; `group` is an entity, or labels by name. */
export const matchShape = {
  tenant: word.optional(),
  series: word.optional(),
  metric: word.optional(),
  group: z.union([word, z.record(word, word)]).optional(),
}
export const alertsPerWeek = numeric(z.number().positive('must be more than no alert a week').max(1e6))
const leastMoveSchema = z.strictObject({
  absolute: z.number().min(0).optional(),
  relative: z.number().min(0).optional(),
})
interface Thresholds {
  readonly openSurprise?: number | undefined
  readonly closeSurprise?: number | undefined
}
/** Where both are said, an anomaly closes at no more than what opened it. */
export const closesBelow: [(one: Thresholds) => boolean, { message: string; path: PropertyKey[] }] = [
  ({ openSurprise = Number.POSITIVE_INFINITY, closeSurprise = 0 }) => closeSurprise <= openSurprise,
  { message: 'must be at most openSurprise', path: ['closeSurprise'] },
]
/** A series that were let go before its next window is complete would be new in each. */
export const outlivesWindows: [
  (one: {
    readonly step: number
    readonly lateness?: number | undefined
    readonly retention: number
  }) => boolean,
  { message: string; path: PropertyKey[] },
] = [
  ({ step, lateness = 0, retention }) => retention >= Math.max(step, lateness),
  { message: 'must be at least as long as step and lateness', path: ['retention'] },
]
export const alertRuleSchema = z
  .strictObject({
    ...matchShape,
    budget: alertsPerWeek.optional(),
    openSurprise: z.number().positive().optional(),
    closeSurprise: z.number().positive().optional(),
    direction: z.enum(['up', 'down', 'both']).optional(),
    atLeast: z.strictObject({ up: leastMoveSchema.optional(), down: leastMoveSchema.optional() }).optional(),
    refractory: duration.optional(),
    ignore: z.boolean().optional(),
  })
  .refine(rule => (rule.series ?? rule.metric ?? rule.group ?? rule.tenant) !== undefined, {
    message: 'name a series, metric or group, or a tenant, `*` stands for any text',
  })
  .refine(...closesBelow)

const everySchema = word
  .refine(text => EVERY.includes(text) || text.startsWith('FREQ='), {
    message: `must be one of ${EVERY.join(', ')}, or a rule of RFC 5545 such as FREQ=WEEKLY;BYDAY=SA`,
  })
  .optional()
export const spanShape = { from: word, to: word.optional(), every: everySchema }
export const calendarEntrySchema = z
  .strictObject({
    file: word.optional(),
    name: word.optional(),
    from: word.optional(),
    to: word.optional(),
    every: everySchema,
    effect: z.enum(['suppress', 'like']).default('suppress'),
    like: z.enum(WEEKDAYS).optional(),
    ...matchShape,
  })
  .refine(
    ({ file, name, from, to, every }) =>
      file === undefined
        ? name !== undefined && from !== undefined
        : [name, from, to, every].every(part => part === undefined),
    { message: 'is either `file: holidays.ics`, or has a name, a from and perhaps a to and an every' },
  )
  .refine(({ effect, like }) => (effect === 'like') === (like !== undefined), {
    message: '`effect: like` names a day in `like: sunday`, and `suppress` none',
  })
