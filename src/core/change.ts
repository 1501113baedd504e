import { contentId } from './identity.ts'
import { isDate, jsonOfTime, timeOfJson } from './time.ts'

/** Something that people or machines did to an entity. */
export interface Change {
  readonly id: string
  /** Unix ms. */
  readonly timeMs: number
  readonly entity: string
  /** `restart` and `maintenance` announce an expected interruption until `untilMs`. */
  readonly kind: 'deploy' | 'config' | 'flag' | 'traffic' | 'restart' | 'maintenance' | (string & {})
  /** Version, commit, flag name, whatever identifies it to people. */
  readonly ref: string
  readonly untilMs?: number
  /** Whose entity it is; absent is `default`. Said by the key or the envelope, never by the body. */
  readonly tenant?: string
}

/** The tenant of a change; those recorded before changes had one are of `default`. */
export function tenantOfChange({ tenant }: Change): string {
  return tenant ?? 'default'
}

/** Tells changes of all tenants apart, and from everything else that has an id: what people call a change is theirs alone. */
export function keyOfChange(change: Change): string {
  return contentId('chg', tenantOfChange(change), change.id)
}

/** The change as one of a tenant, whatever it said of itself. */
export function ofTenant(change: Change, tenant: string): Change {
  const { tenant: _, ...rest } = change
  return tenant === 'default' ? rest : { ...rest, tenant }
}

const KIND = /^[a-z][a-z0-9_-]{0,31}$/

/**
 * Reads one change from a plain object: `{time, entity, kind, ref}` and optionally `id` and `until`, times as `parseTime`
 * reads them, or numbers of Unix s or ms; without an id it is told by what it says. Returns the reason in words when it is not one.
 */
export function changeOf(value: unknown): Change | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'a change is a JSON object'
  const { id, time, entity, kind, ref, until } = value as Record<string, unknown>
  const timeMs = timeOfJson(time)
  if (!isDate(timeMs)) return '"time" must be ISO 8601, Unix s or Unix ms'
  if (typeof entity !== 'string' || entity === '' || entity.length > 256)
    return '"entity" must be a non-empty string'
  if (typeof kind !== 'string' || !KIND.test(kind))
    return '"kind" must be a word such as deploy, config, flag, traffic or restart'
  if (ref !== undefined && (typeof ref !== 'string' || ref.length > 1024)) return '"ref" must be a string'
  const untilMs = until === undefined || until === null ? undefined : timeOfJson(until)
  if (untilMs !== undefined && !isDate(untilMs)) return '"until" must be ISO 8601, Unix s or Unix ms'
  if (id !== undefined && (typeof id !== 'string' || id === '' || id.length > 256))
    return '"id" must be a string'
  const own = id ?? contentId('chg', entity, kind, ref ?? '', timeMs)
  const change = { id: own, timeMs, entity, kind, ref: ref ?? '' }
  return untilMs === undefined ? change : { ...change, untilMs }
}

/** A tenant's changes, of the body of an envelope of kind `change`, one a line, and what is wrong with the other lines. */
export function parseChanges(
  bytes: Uint8Array,
  tenant: string,
): {
  readonly changes: readonly Change[]
  readonly reasons: readonly string[]
} {
  const reasons: string[] = []
  const changes: Change[] = []
  for (const [index, line] of new TextDecoder().decode(bytes).split('\n').entries()) {
    if (line.trim() === '') continue
    const change = parseChange(line)
    if (typeof change === 'string') reasons.push(`line ${index + 1}: ${change}`)
    else changes.push(ofTenant(change, tenant))
  }
  return { changes, reasons }
}

function parseChange(line: string): Change | string {
  try {
    return changeOf(JSON.parse(line))
  } catch {
    return 'not JSON'
  }
}

/** The JSON that an envelope of kind `change` carries, one change a line; whose it is stands in the envelope. */
export function changeLine(change: Change): string {
  const { id, timeMs, entity, kind, ref, untilMs } = change
  return JSON.stringify({
    id,
    time: jsonOfTime(timeMs),
    entity,
    kind,
    ref,
    ...(untilMs === undefined ? {} : { until: jsonOfTime(untilMs) }),
  })
}
