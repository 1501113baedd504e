import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { isAbsolute, resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { ForeshockError } from './core/errors.ts'
import { isZone } from './core/local-time.ts'

/**
 * The only reader of the configuration file and of the environment. One schema; it fails before anything starts,
 * and says which key is wrong and what would be right. A scalar key can be set in the environment as
 * `FORESHOCK_<SECTION>_<KEY>`, upper case with underscores: `server.maxBodyBytes` is
 * `FORESHOCK_SERVER_MAX_BODY_BYTES`. The environment wins over the file.
 */

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

const duration = z
  .union([z.string(), z.number()])
  .transform((value, context) => {
    const match = DURATION.exec(String(value))
    if (match) return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
    context.addIssue({ code: 'custom', message: 'write a duration such as 500ms, 10s, 5m, 12h or 7d' })
    return z.NEVER
  })
  .pipe(z.number().positive('must be longer than nothing'))

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|kB|KiB|MB|MiB|GB|GiB)?$/
const UNIT_BYTES = { B: 1, kB: 1e3, KiB: 1024, MB: 1e6, MiB: 1_048_576, GB: 1e9, GiB: 1_073_741_824 } as const

const size = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = SIZE.exec(String(value))
  if (match) return Math.round(Number(match[1]) * UNIT_BYTES[(match[2] ?? 'B') as keyof typeof UNIT_BYTES])
  context.addIssue({ code: 'custom', message: 'write a size such as 64 MiB, 500 kB or a number of bytes' })
  return z.NEVER
})

const count = z.coerce.number().int().min(1)
const switchable = z.union([z.boolean(), z.enum(['true', 'false']).transform(text => text === 'true')])
const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never)

/** How often something comes again, in words. */
const EVERY = ['day', 'weekday', 'week', 'month', 'year']
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const

const keySchema = z.strictObject({
  name: z.string().min(1),
  hash: z
    .string()
    .regex(
      /^sha256:[0-9a-f]{64}$/,
      'write sha256: and the hex digest; `foreshock key` makes a key and its hash',
    ),
  scopes: z.array(z.enum(['ingest', 'read', 'label', 'models', 'admin'])).min(1),
  tenant: z.string().optional(),
})

const edgeSchema = z.strictObject({ source: z.string().min(1), target: z.string().min(1) })

const expressionSchema = z.strictObject({
  metric: z.string().min(1),
  expression: z.string().min(1),
  by: z.array(z.string()).default(['service']),
  unit: z.string().default(''),
  kind: z
    .enum([
      'latency',
      'availability',
      'error',
      'traffic',
      'cpu',
      'memory',
      'io',
      'network',
      'saturation',
      'other',
    ])
    .optional(),
  bad: z.enum(['up', 'down', 'both']).optional(),
  /** Names of the expression that are not metric names: which metric, with which labels. */
  where: z
    .record(
      z.string(),
      z.strictObject({ metric: z.string(), labels: z.record(z.string(), z.string()).optional() }),
    )
    .optional(),
})

const overrideSchema = z.strictObject({
  metric: z.string().min(1),
  unit: z.string().optional(),
  kind: expressionSchema.shape.kind,
  bad: z.enum(['up', 'down', 'both']).optional(),
})

/** A daily shape of its own for the series that every glob given matches; see docs of `detection`. */
const profileSchema = z.enum(['none', 'tiny', 'compact', 'full'])
const profileRuleSchema = z
  .strictObject({
    series: z.string().min(1).optional(),
    metric: z.string().min(1).optional(),
    entity: z.string().min(1).optional(),
    profile: profileSchema,
  })
  .refine(rule => (rule.series ?? rule.metric ?? rule.entity) !== undefined, {
    message: 'name a series, metric or entity, `*` stands for any text',
  })

const warmUpSchema = z
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
        concurrency: count.max(32).default(4),
      })
      .optional(),
    /** A recording or a folder of them, in the shapes that `replay` reads. */
    files: z.string().min(1).optional(),
    /** Learning from history ends after this long, wherever it stands. */
    limit: duration.default(30 * 60_000),
  })
  .refine(({ prometheus, files }) => prometheus === undefined || files === undefined, {
    message: 'write either prometheus or files: history has one source',
  })
  .prefault({})
const word = z.string().min(1).max(512)
/** Which series: globs, `*` stands for any text; `group` is an entity, or labels by name. */
const matchShape = {
  series: word.optional(),
  metric: word.optional(),
  group: z.union([word, z.record(word, word)]).optional(),
}
const alertsPerWeek = z.coerce.number().positive('must be more than no alert a week').max(1e6)
const leastMoveSchema = z.strictObject({
  absolute: z.number().min(0).optional(),
  relative: z.number().min(0).optional(),
})
const alertRuleSchema = z
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
  .refine(rule => (rule.series ?? rule.metric ?? rule.group) !== undefined, {
    message: 'name a series, metric or group, `*` stands for any text',
  })

const everySchema = word
  .refine(text => EVERY.includes(text) || text.startsWith('FREQ='), {
    message: `must be one of ${EVERY.join(', ')}, or a rule of RFC 5545 such as FREQ=WEEKLY;BYDAY=SA`,
  })
  .optional()
const spanShape = { from: word, to: word.optional(), every: everySchema }
const calendarEntrySchema = z
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

export const configSchema = z.strictObject({
  server: section({
    host: z.string().default('127.0.0.1'),
    /** 4318 is OTLP/HTTP's own port: a stock OpenTelemetry exporter finds it without a setting. */
    port: z.coerce.number().int().min(0).max(65_535).default(4318),
    /** OTLP/gRPC; 4317, its own port, unless `port` is 0 (any free one). An `off` turns it off. */
    grpcPort: z.union([z.literal('off'), z.coerce.number().int().min(0).max(65_535)]).optional(),
    maxBodyBytes: size.default(16 * 1_048_576),
    publicUrl: z.url().optional(),
  }),
  auth: section({ keys: z.array(keySchema).default([]) }),
  data: section({ folder: z.string().default('.foreshock'), keepCheckpoints: count.default(2) }),
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
    step: duration.default(10_000),
    lateness: duration.optional(),
    idle: duration.optional(),
    retention: duration.default(86_400_000),
    historyWindows: count.default(360),
    historyBudget: size.default(256 * 1_048_576),
    expressions: z.array(expressionSchema).default([]),
  }),
  detection: section({
    openSurprise: z.coerce.number().positive().optional(),
    closeSurprise: z.coerce.number().positive().optional(),
    /** Memory for the daily shape of a series: 390 bytes, 1.4 kB, or 176 kB at one minute. */
    profile: profileSchema.default('tiny'),
    /** Series before metric before entity; within each the first that matches. */
    profiles: z.array(profileRuleSchema).default([]),
    /** The learned combiner weighs the point evidence of every profile; needs onnxruntime-node on this platform. */
    combiner: switchable.default(false),
    /** Costly detectors for suspects and golden signals: so many series at most, none by default. */
    pool: section({
      size: z.coerce.number().int().min(0).max(10_000).default(0),
      detectors: z
        .array(z.enum(['rcf', 'hst', 'sr', 'shapes', 'flatline']))
        .min(1)
        .default(['rcf', 'shapes']),
    }),
    /** All metrics of an entity judged together, as far as bytes of state and a share of one core go. */
    multivariate: section({
      profile: z.enum(['auto', 'none']).default('none'),
      maxMetrics: z.coerce.number().int().min(2).max(1000).default(120),
      budget: size.default(256 * 1_048_576),
      /** Windows before an entity's first opinion, a day of them where that is fewer. */
      warmUp: z.coerce.number().int().min(60).default(1440),
      cpuShare: z.coerce.number().positive().max(1).default(0.1),
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
  }),
  /** Windows in which disruptions of these entities are recorded and told to nobody. */
  maintenance: z
    .array(
      z.strictObject({
        name: word,
        ...spanShape,
        entity: z.union([word, z.array(word).min(1).max(1000)]),
        tenant: word.default('default'),
      }),
    )
    .max(1000)
    .default([]),
  disruptions: section({
    openEvidence: z.coerce.number().positive().optional(),
    topology: z.array(edgeSchema).default([]),
    maxOpen: count.default(200),
  }),
  sources: section({
    host: section({
      enabled: switchable.default(false),
      every: duration.default(1000),
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
      .default([]),
    alertmanagers: z.array(z.strictObject({ url: z.url() })).default([]),
  }),
  warmup: warmUpSchema,
  checkpoint: section({ every: duration.default(60_000) }),
  log: section({
    level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  }),
})

export type Config = z.output<typeof configSchema>

interface Place {
  readonly file?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Variables that win over those of the environment, as a command's flags do. */
  readonly flags?: Readonly<Record<string, string | undefined>>
}

/**
 * Reads `file`, or `foreshock.yaml` in the working folder when there is one, and the environment. Throws
 * FS_CONFIG_INVALID with one line a mistake.
 */
export function loadConfig({ file, environment = process.env, flags }: Place = {}): Config {
  const path =
    file ?? environment.FORESHOCK_CONFIG ?? (existsSync('foreshock.yaml') ? 'foreshock.yaml' : undefined)
  const written = path === undefined ? {} : readYaml(path)
  return parseConfig(written, { file: path, environment: { ...environment, ...flags } })
}

/** Checks a plain object, with the environment laid over it. */
export function parseConfig(written: unknown, { file, environment = {} }: Place = {}): Config {
  const names = new Map<string, string>()
  const merged = structuredClone(written ?? {}) as Record<string, unknown>
  for (const path of scalarPaths(configSchema)) {
    const name = variableName(path)
    const value = environment[name]
    if (value === undefined || value === '') continue
    names.set(path.join('.'), name)
    assign(merged, path, value)
  }
  const result = configSchema.safeParse(merged)
  if (result.success) {
    const config = withToken(result.data, environment)
    const folder = config.data.folder
    return isAbsolute(folder) ? config : { ...config, data: { ...config.data, folder: resolve(folder) } }
  }
  const lines = result.error.issues.flatMap(issue => describe(issue, names, file))
  throw new ForeshockError('FS_CONFIG_INVALID', lines.join('\n'))
}

/** The bearer token that `tokenEnv` names, as a header: nobody but this file reads the environment. */
function withToken(config: Config, environment: Readonly<Record<string, string | undefined>>): Config {
  const { prometheus } = config.warmup
  if (prometheus?.tokenEnv === undefined) return config
  const token = environment[prometheus.tokenEnv]
  if (!token) {
    const text = `warmup.prometheus.tokenEnv: the environment holds no ${prometheus.tokenEnv}`
    throw new ForeshockError('FS_CONFIG_INVALID', text)
  }
  const headers = { ...prometheus.headers, authorization: `Bearer ${token}` }
  return { ...config, warmup: { ...config.warmup, prometheus: { ...prometheus, headers } } }
}

function describe(
  issue: z.core.$ZodIssue,
  names: ReadonlyMap<string, string>,
  file: string | undefined,
): string[] {
  const path = issue.path.join('.')
  const where = names.get(path) ?? `${file ?? 'configuration'}: ${path === '' ? 'top level' : path}`
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path)
    return issue.keys.map(
      key => `${where}: unknown key "${key}"${known.length > 0 ? `; known here: ${known.join(', ')}` : ''}`,
    )
  }
  return [`${where}: ${issue.message}`]
}

/** A document of somebody else's as plain values; undefined when it cannot be read. */
export function plainYaml(text: string): unknown {
  try {
    return parseYaml(text)
  } catch {
    return undefined
  }
}

function readYaml(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ForeshockError('FS_CONFIG_INVALID', `${path}: cannot be read (${(error as Error).message})`)
  }
  try {
    return parseYaml(text) ?? {}
  } catch (error) {
    throw new ForeshockError(
      'FS_CONFIG_INVALID',
      `${path}: not YAML: ${(error as Error).message.split('\n')[0]}`,
    )
  }
}

/** The object shape under wrappers such as prefault, or undefined for anything else. */
function shapeOf(schema: z.core.$ZodType): Record<string, z.core.$ZodType> | undefined {
  let inner = schema as z.core.$ZodType & {
    _zod: { def: { innerType?: z.core.$ZodType; shape?: Record<string, z.core.$ZodType> } }
  }
  while (inner._zod.def.innerType) inner = inner._zod.def.innerType as typeof inner
  return inner._zod.def.shape
}

function isArray(schema: z.core.$ZodType): boolean {
  let inner = schema as z.core.$ZodType & { _zod: { def: { innerType?: z.core.$ZodType; type: string } } }
  while (inner._zod.def.innerType) inner = inner._zod.def.innerType as typeof inner
  return inner._zod.def.type === 'array'
}

function scalarPaths(schema: z.core.$ZodType, path: readonly string[] = []): string[][] {
  const shape = shapeOf(schema)
  if (!shape) return isArray(schema) ? [] : [[...path]]
  return Object.entries(shape).flatMap(([key, inner]) => scalarPaths(inner, [...path, key]))
}

function knownKeys(path: readonly PropertyKey[]): string[] {
  let shape = shapeOf(configSchema)
  for (const key of path) {
    const next = shape?.[String(key)]
    shape = next ? shapeOf(next) : undefined
  }
  return shape ? Object.keys(shape) : []
}

function variableName(path: readonly string[]): string {
  return `FORESHOCK_${path.map(part => part.replace(/[A-Z]/g, '_$&').toUpperCase()).join('_')}`
}

function assign(target: Record<string, unknown>, path: readonly string[], value: string): void {
  let at = target
  for (const key of path.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {}
    at = at[key] as Record<string, unknown>
  }
  at[path[path.length - 1]] = value
}

/** Configuration as it may be shown: secrets and key hashes are left out. */
export function shownConfig(config: Config): unknown {
  return {
    ...config,
    auth: { keys: config.auth.keys.map(({ name, scopes, tenant }) => ({ name, scopes, tenant })) },
    sinks: {
      ...config.sinks,
      webhooks: config.sinks.webhooks.map(({ url, allowPrivate }) => ({ url, allowPrivate })),
    },
    warmup: {
      ...config.warmup,
      prometheus: config.warmup.prometheus && {
        ...config.warmup.prometheus,
        headers: Object.keys(config.warmup.prometheus.headers),
      },
    },
  }
}
