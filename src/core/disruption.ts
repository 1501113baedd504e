import { z } from 'zod'

/**
 * The disruption event body: CloudEvents 1.0 `data`, the outside contract. Times are ISO 8601 UTC.
 */
export const severitySchema = z.enum(['warning', 'minor', 'major', 'critical'])

export const evidenceSchema = z.object({
  id: z.string(),
  series: z.object({ metric: z.string(), labels: z.record(z.string(), z.string()) }),
  entity: z.string(),
  unit: z.string(),
  window: z.object({ start: z.string(), end: z.string() }),
  observed: z.number().nullable(),
  expected: z.number().nullable(),
  lower: z.number().nullable(),
  upper: z.number().nullable(),
  direction: z.enum(['spike', 'drop', 'absent']),
  tailProbability: z.number(),
  surprise: z.number(),
  imputed: z.boolean(),
  detectors: z.array(z.object({ id: z.string(), share: z.number() })),
  why: z.array(z.string()),
})

export const suspectSchema = z.object({
  rank: z.number().int().min(1),
  entity: z.string(),
  metric: z.string(),
  score: z.number(),
  onset: z.string(),
  direction: z.enum(['spike', 'drop', 'absent']),
  observed: z.number().nullable(),
  expected: z.number().nullable(),
  why: z.array(z.string()),
})

export const disruptionSchema = z.object({
  id: z.string(),
  revision: z.number().int().min(1),
  supersedes: z.number().int().nullable(),
  tenant: z.string(),
  status: z.enum(['open', 'resolved', 'retracted']),
  rank: z.number().int().min(1),
  severity: severitySchema,
  score: z.number().min(0).max(100),
  confidence: z.number().min(0).max(1),
  impact: z.object({ entities: z.number().int(), trafficShare: z.number().nullable() }),
  /** The parts of the rank: their product orders the board. */
  rankParts: z.object({
    impact: z.number(),
    confidence: z.number(),
    persistence: z.number(),
    novelty: z.number(),
  }),
  startedAt: z.string(),
  detectedAt: z.string(),
  updatedAt: z.string(),
  resolvedAt: z.string().nullable(),
  entity: z.string(),
  entities: z.array(z.string()),
  title: z.string(),
  why: z.array(z.string()),
  suspects: z.array(suspectSchema),
  evidence: z.array(evidenceSchema),
  /** Disruptions that turned out to be this one, that this one turned out to be part of, or that parted from it. */
  related: z
    .array(
      z.object({
        id: z.string(),
        relation: z.enum(['merged-into', 'merged-from', 'split-from', 'split-off']),
      }),
    )
    .optional(),
  changes: z.array(
    z.object({ id: z.string(), time: z.string(), entity: z.string(), kind: z.string(), ref: z.string() }),
  ),
  silenced: z.boolean(),
  /** Ids of the maintenance windows that cover all its entities: it is recorded and told to nobody. Absent without. */
  maintenance: z.array(z.string()).optional(),
  replay: z.object({ log: z.string(), config: z.string(), models: z.record(z.string(), z.string()) }),
  links: z.object({ self: z.string(), verdict: z.string() }),
})

export type Disruption = z.infer<typeof disruptionSchema>
export type Evidence = z.infer<typeof evidenceSchema>
export type Suspect = z.infer<typeof suspectSchema>

export type DisruptionEventType = 'opened' | 'updated' | 'resolved' | 'retracted'

/** One publication; `id` is `<disruption id>.<revision>`, so a replay repeats ids and consumers can drop them. */
export interface DisruptionEvent {
  readonly id: string
  readonly type: DisruptionEventType
  /** When it happened in event time, Unix ms. */
  readonly timeMs: number
  readonly disruption: Disruption
  /** Recorded only: a maintenance window keeps it from being published. */
  readonly held?: true
}
