import { hostname } from 'node:os'
import { z } from 'zod'
import { isZone } from '../core/local-time.ts'
import { TENANT_NAME, tenantName } from '../core/tenant.ts'
import { clusterSchema } from './cluster.ts'
import {
  alertRuleSchema,
  alertsPerWeek,
  calendarEntrySchema,
  closesBelow,
  edgeSchema,
  expressionSchema,
  keySchema,
  matchShape,
  outlivesWindows,
  overrideSchema,
  profileRuleSchema,
  profileSchema,
  spanShape,
  warmUpSchema,
  word,
} from './parts.ts'
import { count, duration, numeric, section, size, switchable, timer, wordOrNumber } from './values.ts'

/** Windows that are looked back on at most: four months of ten seconds. */
export const HISTORY_WINDOWS_MAX = 1_000_000
/** A frame of the journal holds 256 MiB. */
const BODY_BYTES_MAX = 255 * 1_048_576

/** Every key of `foreshock.yaml`, with its default. */
export const configSchema = z.strictObject({
  server: section({
    host: z.string().default('127.0.0.1'),
    /** 4318 is OTLP/HTTP's own port: a stock OpenTelemetry exporter finds it without a setting. */
    port: numeric(z.number().int().min(0).max(65_535)).default(4318),
    /** OTLP/gRPC; 4317, its own port, unless `port` is 0 (any free one). An `off` turns it off. */
    grpcPort: wordOrNumber('off', 0, 65_535).optional(),
    maxBodyBytes: size
      .refine(bytes => bytes <= BODY_BYTES_MAX, 'must be at most 255 MiB: the journal takes no more at once')
      .default(16 * 1_048_576),
    /** Of all bodies that are not whole yet; beyond, the one that is longest on its way is given up. */
    maxArrivingBytes: size.default(256 * 1_048_576),
    /** Of one address, over all gateways of a fleet; beyond, they are answered 429. Bodies of samples are then counted and read by the router. */
    requestsPerMinute: count.optional(),
    publicUrl: z.url().optional(),
  }),
  auth: section({ keys: z.array(keySchema).default([]) }),
  data: section({
    folder: z.string().default('.foreshock'),
    keepCheckpoints: count.default(2),
    /** What queries over the record are answered from: its newest in memory, or all of it in a DuckDB file. */
    index: z.enum(['memory', 'duckdb']).default('memory'),
    /** How long the DuckDB file keeps what was detected; the record itself keeps everything. */
    indexRetention: duration.default(400 * 86_400_000),
  }),
  ingest: section({
    maxInflatedBytes: size.default(64 * 1_048_576),
    maxQueuedBytes: size.default(64 * 1_048_576),
    maxSeries: count.default(1_000_000),
    maxLabels: count.default(64),
    maxLabelBytes: count.default(4096),
    maxRejectsKept: count.default(1000),
    future: duration.default(300_000),
    entityLabels: z.array(z.string()).default(['service', 'service_name', 'job', 'instance']),
    overrides: z.array(overrideSchema).default([]),
  }),
  features: section({
    step: timer.default(10_000),
    lateness: duration.optional(),
    idle: duration.optional(),
    retention: duration.default(86_400_000),
    /** Room is made for some hundred series at once: more windows of them than that are more than an array holds. */
    historyWindows: numeric(z.number().int().min(1).max(HISTORY_WINDOWS_MAX)).default(360),
    historyBudget: size.default(256 * 1_048_576),
    expressions: z.array(expressionSchema).default([]),
  }).refine(...outlivesWindows),
  detection: section({
    openSurprise: numeric(z.number().positive()).optional(),
    closeSurprise: numeric(z.number().positive()).optional(),
    /** Memory for the daily shape of a series: 390 bytes, 1.4 kB, or 174 kB at one minute. */
    profile: profileSchema.default('tiny'),
    /** Series before metric before entity; within each the first that matches. */
    profiles: z.array(profileRuleSchema).default([]),
    /**
     * Series that everything looks at: the first to come, and later what is strange. Those beyond have `tiny` alone and
     * no kept history, in some 700 bytes each.
     */
    richSeries: count.default(1_000_000),
    /**
     * Threads that score beside the one that takes samples in; 0: that one scores too. `auto`: none below a million series a
     * second, and above a thread for every other core.
     */
    workers: wordOrNumber('auto', 0, 64).default('auto'),
    /** A thread that has work and finishes none of it for so long is taken for hung, and the service ends. */
    workerPatience: timer.pipe(z.number().min(1000)).default(300_000),
    /** The learned combiner weighs the point evidence of every profile; needs onnxruntime-node on this platform. */
    combiner: switchable.default(false),
    /** Costly detectors for suspects and golden signals: so many series at most, none by default. */
    pool: section({
      size: numeric(z.number().int().min(0).max(10_000)).default(0),
      detectors: z
        .array(z.enum(['rcf', 'hst', 'sr', 'shapes', 'left-profile', 'flatline']))
        .min(1)
        .default(['rcf', 'shapes']),
      /** State of all of them at most, and CPU a window as measured on two shared cores: whatever is less bounds the series. */
      budget: size.default(256 * 1_048_576),
      time: duration.default(200),
    }),
    /** All metrics of an entity judged together, as far as bytes of state and a share of one core go. */
    multivariate: section({
      profile: z.enum(['auto', 'none']).default('none'),
      maxMetrics: numeric(z.number().int().min(2).max(1000)).default(120),
      budget: size.default(256 * 1_048_576),
      /** Windows before an entity's first opinion, a day of them where that is fewer. */
      warmUp: numeric(z.number().int().min(60)).default(1440),
      cpuShare: numeric(z.number().positive().max(1)).default(0.1),
    }),
    /** Learned models that were promoted or shadowed: see docs/models.md. */
    models: section({
      /** Series that each of them looks at, at most; 0: none can score. */
      size: numeric(z.number().int().min(0).max(65_536)).default(1000),
      /** What all rows of one window may take; then they go without its opinion. */
      timeout: timer.default(200),
    }),
    /** What is said of single series, groups or metrics: see docs/alerting.md. */
    rules: z.array(alertRuleSchema).max(1000).default([]),
    /** Alerts a week of each entity; without it `openSurprise` holds. */
    budget: alertsPerWeek.optional(),
    /** Budgets that all series share which they match. */
    budgets: z
      .array(z.strictObject({ name: word, alertsPerWeek, ...matchShape }))
      .max(1000)
      .default([]),
    /** IANA name of the clocks that daily shapes and the calendar follow. */
    timeZone: z
      .string()
      .default('UTC')
      .refine(isZone, 'must be the IANA name of a time zone, such as Europe/Berlin'),
    /** Known events: an .ics file, or a list. */
    calendar: z.union([word, z.array(calendarEntrySchema).max(1000)]).default([]),
    /** Most bytes of all daily shapes; what is left over goes to golden signals and suspects. 0: nobody gets more. */
    memory: size.default(512 * 1_048_576),
  }).refine(...closesBelow),
  /** Windows in which disruptions of these entities are recorded and told to nobody. */
  maintenance: z
    .array(
      z.strictObject({
        name: word,
        ...spanShape,
        entity: z.union([word, z.array(word).min(1).max(1000)]),
        tenant: tenantName.default('default'),
      }),
    )
    .max(1000)
    .default([]),
  disruptions: section({
    openEvidence: numeric(z.number().positive()).optional(),
    topology: z.array(edgeSchema).default([]),
    maxOpen: count.default(200),
  }),
  sources: section({
    host: section({
      enabled: switchable.default(false),
      every: timer.default(1000),
      entity: z.string().default(hostname()),
    }),
  }),
  sinks: section({
    webhooks: z
      .array(
        z.strictObject({
          url: z.url(),
          secret: z.string().min(1),
          allowPrivate: switchable.default(false),
        }),
      )
      // What one has not taken is kept under its URL.
      .refine(all => new Set(all.map(({ url }) => url)).size === all.length, 'a URL stands here once')
      .default([]),
    alertmanagers: z.array(z.strictObject({ url: z.url() })).default([]),
  }),
  /** What tenants may send, by name; `*` is every tenant that is not named. */
  tenants: z
    .record(
      z.string().refine(name => name === '*' || TENANT_NAME.test(name), 'must be the name of a tenant, or *'),
      z.strictObject({
        quota: z
          .strictObject({
            /** Beyond it bodies are answered 429. */
            samplesPerSecond: numeric(z.number().positive()).optional(),
            /**
             * Samples of further series are refused. A fleet counts series as senders send them, in the last hour or two;
             * one process those that it scores.
             */
            series: count.optional(),
            /** Models that may be pushed in its name; they are shared by all tenants. */
            models: count.optional(),
          })
          .optional(),
      }),
    )
    .default({}),
  /** Many machines: absent, everything runs in this process. See docs/operations.md. */
  cluster: clusterSchema.optional(),
  /** Hot loops run in WebAssembly where it can be had, or never; results are the same. */
  kernels: z.enum(['auto', 'plain']).default('auto'),
  warmup: warmUpSchema,
  checkpoint: section({
    every: timer.default(60_000),
    /** Memory for what changes before it is written; windows keep to the pace of the disk, so that little does. */
    copies: size.default(134_217_728),
  }),
  log: section({
    level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  }),
})

export type Config = z.output<typeof configSchema>
