import { z } from 'zod'

/** The vocabulary of experiments: a challenger beside the champion, on the same windows, until one is better. */

/** Limits at which a challenger is withdrawn by itself. */
const guardrailsSchema = z.strictObject({
  /** Alerts of the challenger may be this many times the champion's, or what the alert budget allows; ten more are free. */
  alertRatio: z.number().positive().max(1000).default(3),
  /** 99th percentile of the time that it takes for a window, ms. */
  p99Ms: z.number().positive().max(60_000).default(100),
  /** Share of window rows on which it fails, takes too long or answers NaN. */
  failedShare: z.number().min(0).max(1).default(0.01),
  /** Growth of the service's resident memory since the experiment started here, megabytes. */
  memoryMegabytes: z.number().positive().max(1_000_000).default(512),
})
export type Guardrails = z.output<typeof guardrailsSchema>

/** What is to be compared, how long, and what follows from it. */
export const experimentPlanSchema = z.strictObject({
  model: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
  challenger: z.number().int().min(1),
  /** Version that must be champion; whichever is when left out. */
  champion: z.number().int().min(1).optional(),
  mode: z.enum(['shadow', 'canary']).default('shadow'),
  /** Of the series, for which a canary speaks. */
  share: z.number().gt(0).max(1).default(0.1),
  /** Chance, at most, of calling the worse one better, over the whole experiment. */
  alpha: z.number().gt(0).max(0.5).default(0.05),
  /** Windows that both must have scored before a challenger is promoted. */
  minWindows: z.number().int().min(1).max(1_000_000_000).default(100),
  /** Then the challenger is withdrawn, seconds of the wall clock. */
  maxDurationSeconds: z.number().min(1).max(31_622_400).default(1_209_600),
  /** Promote the challenger once it is better; otherwise that is only said. */
  autoPromote: z.boolean().default(false),
  /** After promoting it by itself: watched for so long, and rolled back when it fails. Seconds of the wall clock. */
  probationSeconds: z.number().min(0).max(31_622_400).default(3600),
  /** Length of a unit: in it a series alerts or does not, and normal time is counted in it. Seconds of event time. */
  unitSeconds: z.number().min(1).max(604_800).default(3600),
  /** Both versions are judged at the threshold at which they alert in so many units a series and week. */
  alertsPerSeriesWeek: z.number().positive().max(1_000_000).default(1),
  guardrails: guardrailsSchema.default(guardrailsSchema.parse({})),
})
export type ExperimentPlan = z.output<typeof experimentPlanSchema>

/** Someone's verdict on a stretch of time. */
export interface ExperimentLabel {
  readonly tenant: string
  readonly of: 'series' | 'entity'
  /** Key of the series, or name of the entity. */
  readonly name: string
  readonly fromMs: number
  /** Exclusive. */
  readonly toMs: number
  readonly kind: 'anomalous' | 'normal'
  readonly by: string
}

/** Both sides of one number. */
const both = z.object({ champion: z.number(), challenger: z.number() })
const bothOrNull = z.object({ champion: z.number().nullable(), challenger: z.number().nullable() })

const bucketSchema = z.object({
  start: z.string(),
  windows: z.number(),
  rows: z.number().describe('Window rows of which both had an opinion'),
  alerts: both.describe('Units of a series in which it would have opened an anomaly'),
  agreement: z.number().nullable().describe('Share of the rows called strange by either that both called so'),
  failed: both,
  msMax: both,
})

const eventSchema = z.object({
  time: z.string(),
  what: z.enum(['started', 'decided', 'problem', 'promoted', 'rolledBack', 'withdrawn', 'stopped']),
  why: z.string(),
})
export type ExperimentEvent = z.output<typeof eventSchema>

/** How an experiment stands, as it is shown and as the finished ones are kept. */
export const experimentSchema = z.object({
  id: z.string(),
  plan: experimentPlanSchema.extend({ champion: z.number() }),
  status: z
    .enum(['running', 'ending', 'probation', 'promoted', 'rolledBack', 'withdrawn', 'stopped'])
    .describe('In probation it was promoted and is watched; rolledBack is how that can end'),
  reason: z.string().nullable().describe('Why it ended'),
  by: z.string().describe('Who started it'),
  startedAt: z.string(),
  endsAt: z.string().describe('At the latest'),
  endedAt: z.string().nullable(),
  windows: z.number(),
  rows: z.number().describe('Window rows of which both had an opinion'),
  series: z.number(),
  seriesRefused: z.number().describe('Series for which there was no room: counted, but not judged by labels'),
  agreement: z
    .object({
      both: z.number(),
      championOnly: z.number(),
      challengerOnly: z.number(),
      neither: z.number(),
      share: z
        .number()
        .nullable()
        .describe('Of the rows called strange by either, those that both called so'),
      rankCorrelation: z.number().nullable().describe("Spearman's, of the surprises"),
    })
    .describe('Rows called strange at the surprise that opens an anomaly'),
  silent: both.describe('Rows without an opinion where the other one had one'),
  alerts: both.describe('Units of a series in which it would have opened an anomaly'),
  alertsPerDay: bothOrNull,
  latencyMs: z.object({ p50: bothOrNull, p99: bothOrNull, max: both }).describe('Of a window'),
  failed: both.describe('Rows passed over: failed, too slow or NaN'),
  memoryMegabytes: z.object({ now: z.number(), growth: z.number() }).describe('Resident, of the service'),
  guardrails: z.array(
    z.object({
      name: z.enum(['alertRatio', 'p99Ms', 'failedShare', 'memoryMegabytes']),
      value: z.number().nullable(),
      limit: z.number(),
      isBroken: z.boolean(),
    }),
  ),
  verdict: z.object({
    better: z.enum(['champion', 'challenger', 'undecided']),
    units: z.number().describe('Labelled units judged'),
    unitsWaiting: z.number(),
    unitsVoid: z.number().describe('Labelled, but not seen by both or no longer kept'),
    waitingFor: z.string().nullable(),
    threshold: bothOrNull.describe('Surprise that is an alert, at the same budget for both'),
    anomalous: z.object({ units: z.number(), detected: both, lateness: bothOrNull }),
    normal: z.object({ units: z.number(), falseAlerts: both }),
    advantage: z
      .object({ mean: z.number(), lower: z.number(), upper: z.number() })
      .nullable()
      .describe("Loss of the champion less the challenger's, −1..1, with its confidence sequence"),
    evidence: z
      .object({ challenger: z.number(), champion: z.number() })
      .describe('e-values that the one is better; it is said at 2/alpha'),
  }),
  labels: z.number(),
  buckets: z.array(bucketSchema).describe('By time, oldest first'),
  events: z.array(eventSchema),
})
export type ExperimentReport = z.output<typeof experimentSchema>

/** What is kept of an experiment; `running` is there while it runs. JSON-safe. */
export interface SavedExperiment {
  readonly version: 1
  readonly report: ExperimentReport
  readonly running?: unknown
}

/** Keeps experiments. One contract suite, every adapter passes it. */
export interface ExperimentStore {
  /** Resolves when durable; replaces what was kept under its id, whole or not at all. */
  save(experiment: SavedExperiment): Promise<void>
  remove(id: string): Promise<void>
  load(): Promise<SavedExperiment[]>
}
