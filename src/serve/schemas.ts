import { z } from 'zod'
import { disruptionSchema, evidenceSchema, severitySchema, suspectSchema } from '../core/disruption.ts'
import { isDate } from '../core/time.ts'

/** What the query routes take and answer; /openapi.json is made of these. */

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string().describe('FS_* code of the catalogue'),
  instance: z.string(),
  remedy: z.string(),
  retryAfterSeconds: z.number().int().optional(),
  errors: z.array(z.object({ in: z.string(), field: z.string(), message: z.string() })).optional(),
})

/** An answer that is a problem, with the type that it comes with. */
export const problem = { content: { 'application/problem+json': { schema: problemSchema } } } as const

export const ERRORS_OF_READS = { 400: problem, 401: problem, 403: problem } as const
export const ERRORS_OF_ONE = { ...ERRORS_OF_READS, 404: problem } as const
/** Of questions that come as a body. */
export const ERRORS_OF_BODIES = { 413: problem, 415: problem } as const
export const ERRORS_OF_WRITES = {
  ...ERRORS_OF_READS,
  ...ERRORS_OF_BODIES,
  422: problem,
  429: problem,
} as const

/** Largest page. */
const LIMIT_MAX = 1000

const limit = z.coerce.number().int().min(1).max(LIMIT_MAX).default(100)
const cursor = z.string().min(1).max(512).optional().describe('`next` of the page before')
const word = z.string().min(1).max(512).optional()

/** ISO 8601 with a zone, Unix seconds or Unix ms → Unix ms. Numbers below 1e11 are seconds. */
export const moment = z
  .union([
    z.iso.datetime({ offset: true }),
    z.string().regex(/^\d{1,16}(\.\d{1,9})?$/, 'must be ISO 8601 with a zone, Unix s or Unix ms'),
    z.number().min(0).max(8_640_000_000_000_000),
  ])
  .transform(value => {
    const number = Number(value)
    if (Number.isNaN(number)) return Date.parse(String(value))
    return number < 1e11 ? number * 1000 : number
  })
  .refine(isDate, 'must be a time that is a date')

const span = { from: moment.optional(), to: moment.optional() }
const paging = { cursor, limit }

function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next: z.string().nullable() })
}

export const disruptionsQuery = z.object({
  status: z.enum(['open', 'resolved', 'retracted']).optional(),
  severity: severitySchema.optional(),
  entity: word,
  ...span,
  ...paging,
})
export const disruptionsPage = pageOf(disruptionSchema)
export const idParams = z.object({ id: z.string().min(1).max(200) })
export const evidencePage = z.object({
  items: z.array(
    evidenceSchema.extend({
      key: z.string().describe('Series key'),
      scores: z.string().describe('Its scores'),
    }),
  ),
})

export const similarQuery = z.object({ limit: z.coerce.number().int().min(1).max(100).default(10) })
export const similarPage = z.object({
  items: z.array(
    z.object({
      similarity: z.number().describe('0..1: overlap of first suspect, suspects, entities and metrics'),
      shared: z.array(z.string()).describe('What both have'),
      disruption: disruptionSchema,
    }),
  ),
})

export const anomalySchema = z.object({
  id: z.string(),
  key: z.string(),
  metric: z.string(),
  labels: z.record(z.string(), z.string()),
  entity: z.string(),
  tenant: z.string(),
  status: z.enum(['open', 'closed']),
  start: z.string(),
  end: z.string(),
  detectedAt: z.string(),
  observed: z.number().nullable(),
  expected: z.number().nullable(),
  lower: z.number().nullable(),
  upper: z.number().nullable(),
  direction: z.enum(['spike', 'drop', 'absent']),
  surprise: z.number(),
  tailProbability: z.number(),
  score: z.number(),
  severity: severitySchema,
  imputed: z.boolean(),
  confidence: z.number().optional().describe('0..1, by how much was learned of the series before'),
  detectors: z.array(z.object({ id: z.string(), share: z.number() })),
  why: z.array(z.string()),
})
export const anomaliesQuery = z.object({
  status: z.enum(['open', 'closed']).optional(),
  entity: word,
  series: z.string().min(1).max(4096).optional().describe('Series key'),
  ...span,
  ...paging,
})
export const anomaliesPage = pageOf(anomalySchema)

export const seriesSchema = z.object({
  key: z.string(),
  tenant: z.string(),
  metric: z.string(),
  labels: z.record(z.string(), z.string()),
  entity: z.string(),
  unit: z.string(),
  kind: z.string(),
  bad: z.enum(['up', 'down', 'both']),
})
export const seriesQuery = z.object({
  metric: word,
  entity: word,
  kind: word,
  q: z.string().min(1).max(512).optional().describe('Text the key must contain, upper or lower case'),
  ...paging,
})
export const seriesPage = pageOf(seriesSchema)
export const keyParams = z.object({ key: z.string().min(1).max(8192) })
export const scoresQuery = z.object({
  ...span,
  limit: z.coerce.number().int().min(1).max(100_000).default(1000),
})
const column = z.array(z.number().nullable())
export const scoresSchema = z.object({
  series: seriesSchema,
  stepMs: z.number(),
  columns: z
    .object({
      timeMs: z.array(z.number()).describe('Window end, Unix ms'),
      observed: column,
      expected: column,
      lower: column,
      upper: column,
      surprise: column,
    })
    .describe('Columns of one length, oldest first; null where nothing is known'),
})

export const entitiesPage = pageOf(
  z.object({
    entity: z.string(),
    tenant: z.string(),
    series: z.number().int(),
    anomaliesOpen: z.number().int(),
    disruptions: z.array(z.string()).describe('Ids of open disruptions it is part of'),
  }),
)
export const entitiesQuery = z.object({ q: word, ...paging })
export const topologySchema = z.object({
  nodes: z.array(z.string()),
  edges: z.array(z.object({ source: z.string(), target: z.string(), lastSeen: z.string().nullable() })),
})
export const detectorsSchema = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      warmUpWindows: z.number().int(),
      bytes: z.number(),
      problem: z.string().optional().describe('Why it works with less than it should'),
    }),
  ),
  budgets: z.array(
    z.object({
      name: z.string(),
      each: z.enum(['entity', 'budget']).describe('Whom the promise is made to'),
      promisedPerWeek: z.number().describe('Alerts a week, summed over all that it is made to'),
      achievedPerWeek: z.number().describe('Over the last four weeks, or as long as it was counted'),
      pools: z.number().int().describe('How many it is made to'),
      poolsOverspent: z.number().int().describe('How many of them had more alerts than promised'),
      series: z.number().int(),
      openSurpriseLeast: z.number().nullable(),
      openSurpriseMost: z.number().nullable(),
    }),
  ),
  rules: z.array(
    z.object({ name: z.string(), series: z.number().int().describe('Series that match; 0 does nothing') }),
  ),
  calendar: z.array(
    z.object({
      name: z.string(),
      effect: z.enum(['suppress', 'like']),
      series: z.number().int(),
      isOn: z.boolean(),
      windows: z.number().describe('Windows that it suppressed or compared'),
    }),
  ),
})

export const changeSchema = z.object({
  id: z.string(),
  time: z.string(),
  entity: z.string(),
  kind: z.string(),
  ref: z.string(),
  until: z.string().optional(),
  tenant: z.string().optional().describe('Absent is default'),
})
export const changesQuery = z.object({ entity: word, kind: word, ...span, ...paging })
export const changesPage = pageOf(changeSchema)
export const changesAccepted = z.object({ accepted: z.number().int(), ids: z.array(z.string()) })

export const rejectsSchema = z.object({
  counts: z.record(z.string(), z.number()).describe('Since the start, by reason'),
  recent: z.array(z.object({ time: z.string(), reason: z.string(), detail: z.string() })),
})
export const rejectsQuery = z.object({ reason: word, limit })

export const explainBody = z.object({
  at: moment,
  lookback: z.number().min(1).max(86_400).default(900).describe('Seconds before `at` to look at'),
})
export const explainSchema = z.object({ at: z.string(), suspects: z.array(suspectSchema) })

export const statusSchema = z.object({
  now: z.string(),
  version: z.string(),
  ready: z.boolean(),
  why: z.array(z.string()),
  stepMs: z.number(),
  series: z.number().int(),
  seriesLimit: z.number().int(),
  watermark: z.string().nullable().describe('End of the newest complete window'),
  rejected: z.number().int().describe('Of all tenants; 0 where only one is seen'),
  anomaliesOpen: z.number().int(),
  disruptionsOpen: z.number().int(),
})
export const boardSchema = z.object({ status: statusSchema, items: z.array(disruptionSchema) })

export type AnomalyView = z.infer<typeof anomalySchema>
export type SeriesView = z.infer<typeof seriesSchema>
export type EvidenceView = z.infer<typeof evidencePage>['items'][number]
export type ScoresView = z.infer<typeof scoresSchema>
export type StatusView = z.infer<typeof statusSchema>
