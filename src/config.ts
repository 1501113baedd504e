import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import type { z } from 'zod'
import { readYaml, type WrittenYaml } from './config/lines.ts'
import { type Config, configSchema } from './config/schema.ts'
import { ForeshockError } from './core/errors.ts'

/**
 * The only reader of the configuration file and of the environment. One schema; it fails before anything starts,
 * and says which key is wrong and what would be right. A scalar key can be set in the environment as
 * `FORESHOCK_<SECTION>_<KEY>`, upper case with underscores: `server.maxBodyBytes` is
 * `FORESHOCK_SERVER_MAX_BODY_BYTES`. The environment wins over the file.
 */

interface Place {
  readonly file?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Variables that win over those of the environment, as a command's flags do. */
  readonly flags?: Readonly<Record<string, string | undefined>>
}

/** Where a key is written: mistakes name the line. */
type LineOf = WrittenYaml['lineOf']

/**
 * Reads `file`, or `foreshock.yaml` in the working folder when there is one, and the environment. Throws
 * FS_CONFIG_INVALID with one line a mistake.
 */
export function loadConfig({ file, environment = process.env, flags }: Place = {}): Config {
  // A variable that is empty is none, here as with all others.
  const named = file ?? (environment.FORESHOCK_CONFIG || undefined)
  const path = named ?? (existsSync('foreshock.yaml') ? 'foreshock.yaml' : undefined)
  const { value, lineOf } = path === undefined ? { value: {}, lineOf: undefined } : readFile(path)
  return parseConfig(value, { file: path, environment: { ...environment, ...flags } }, lineOf)
}

/** Checks a plain object, with the environment laid over it. */
export function parseConfig(
  written: unknown,
  { file, environment = {} }: Place = {},
  lineOf: LineOf = () => undefined,
): Config {
  const names = new Map<string, string>()
  if (!isObject(written ?? {})) {
    const text = `${file ?? 'configuration'}: top level: write keys and values, such as features: { step: 10s }`
    throw new ForeshockError('FS_CONFIG_INVALID', text)
  }
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
  const lines = result.error.issues.flatMap(issue => describe(issue, names, file, lineOf))
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

/** Where the engines are of a fleet that a command starts by itself. */
export interface EngineAddresses {
  readonly kafka: string
  readonly redis: string
  readonly postgres: string
}

/** Flags win over the variables that the engines' own tools read. Throws FS_CONFIG_INVALID that says what is missing. */
export function engineAddresses(
  flags: Partial<EngineAddresses>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): EngineAddresses {
  const found = {
    kafka: flags.kafka ?? environment.KAFKA_BROKERS ?? '',
    redis: flags.redis ?? environment.REDIS_URL ?? '',
    postgres: flags.postgres ?? environment.DATABASE_URL ?? '',
  }
  const ways = {
    kafka: '--kafka host:port or KAFKA_BROKERS',
    redis: '--redis redis://host:6379 or REDIS_URL',
    postgres: '--postgres postgres://user@host:5432/database or DATABASE_URL',
  }
  const missing = (['kafka', 'redis', 'postgres'] as const).filter(name => found[name] === '')
  if (missing.length === 0) return found
  const text = missing.map(name => `${name}: give ${ways[name]}`).join('\n')
  throw new ForeshockError('FS_CONFIG_INVALID', text)
}

function describe(
  issue: z.core.$ZodIssue,
  names: ReadonlyMap<string, string>,
  file: string | undefined,
  lineOf: LineOf,
): string[] {
  const path = issue.path.join('.')
  const name = names.get(path)
  const where = name ?? `${file ?? 'configuration'}: ${path === '' ? 'top level' : path}`
  const at = (keys: readonly PropertyKey[]): string => {
    const line = name === undefined ? lineOf(keys) : undefined
    return line === undefined ? '' : ` (line ${line})`
  }
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path)
    return issue.keys.map(
      key =>
        `${where}: unknown key "${key}"${known.length > 0 ? `; known here: ${known.join(', ')}` : ''}${at([...issue.path, key])}`,
    )
  }
  // A name that is none says why within.
  const message = issue.code === 'invalid_key' ? issue.issues[0].message : issue.message
  return [`${where}: ${message}${at(issue.path)}`]
}

/** A document of somebody else's as plain values; undefined when it cannot be read. */
export function plainYaml(text: string): unknown {
  try {
    return parseYaml(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readFile(path: string): WrittenYaml {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ForeshockError('FS_CONFIG_INVALID', `${path}: cannot be read (${(error as Error).message})`)
  }
  try {
    return readYaml(text)
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

/** Configuration as it may be shown: secrets and key hashes are left out, and passwords that stand in addresses. */
export function shownConfig(config: Config): unknown {
  const shown = {
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
  const asText = JSON.stringify(shown, (_, value) =>
    typeof value === 'string' ? withoutPassword(value) : value,
  )
  return JSON.parse(asText)
}

/** Who asks stays to be seen, as in `redis://user:(hidden)@host`. What is no address stays as it is. */
function withoutPassword(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:]*:)[^/?#]*@/i, '$1(hidden)@')
    .replace(/^([a-z][a-z0-9+.-]*:\/\/.*[?&]password=)[^&]*/i, '$1(hidden)')
}
