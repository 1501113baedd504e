import { z } from 'zod'
import { type Change, ofTenant } from '../core/change.ts'
import { contentId } from '../core/identity.ts'
import { parseJson } from '../core/json-depth.ts'
import { invalid } from './http.ts'

/**
 * Change events as they come from the world: CloudEvents 1.0 (structured, batched or binary over HTTP, see the
 * CloudEvents HTTP protocol binding 1.0.2) or a plain JSON object. Changes are rare, so zod reads them.
 */

/** Most changes in one body. */
export const CHANGES_MAX = 1000

const text = z.string().trim().min(1).max(256)
/** ISO 8601 with a zone, or Unix ms. */
const time = z.union([
  z.iso.datetime({ offset: true }).transform(value => Date.parse(value)),
  z.number().int().min(0).max(8_640_000_000_000_000),
])

export const plainChange = z.object({
  time: time.optional().describe('ISO 8601 or Unix ms; now when absent'),
  entity: text.describe('What was changed, such as a service name'),
  kind: text.describe('deploy, config, flag, traffic, restart, maintenance or a word of yours'),
  ref: z.string().max(256).default('').describe('Version, commit or flag name'),
  until: time.optional().describe('End of an announced interruption'),
})

export const cloudEvent = z.object({
  specversion: z.literal('1.0'),
  id: text,
  source: text,
  type: text,
  subject: z.string().max(256).optional(),
  time: z.iso
    .datetime({ offset: true })
    .optional()
    .transform(value => (value === undefined ? undefined : Date.parse(value))),
  data: z.record(z.string(), z.unknown()).optional(),
})

/** `io.foreshock.change.deploy.v1` says `deploy`; other types say nothing of the kind. */
const TYPE_PATTERN = /^io\.foreshock\.change\.([a-z_-]+)(?:\.v\d+)?$/

function read<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const detail = result.error.issues
    .slice(0, 5)
    .map(issue => `${[where, ...issue.path].filter(part => part !== '').join('.')}: ${issue.message}`)
  throw invalid(detail.join('; '))
}

/** The id derives from the content, so a change sent twice is one change. */
export function changeOfPlain(value: unknown, tenant: string, nowMs: number, where = ''): Change {
  const plain = read(plainChange, value, where)
  const timeMs = plain.time ?? nowMs
  const id = contentId('chg', tenant, timeMs, plain.entity, plain.kind, plain.ref, plain.until ?? 0)
  const change = { id, timeMs, entity: plain.entity, kind: plain.kind, ref: plain.ref }
  return ofTenant(withUntil(change, plain.until), tenant)
}

/** Source and id name a CloudEvent for all time; `data` fills what `subject`, `type` and `time` leave open. */
export function changeOfCloudEvent(value: unknown, tenant: string, nowMs: number, where = ''): Change {
  const event = read(cloudEvent, value, where)
  const data = event.data ?? {}
  const kind = data.kind ?? TYPE_PATTERN.exec(event.type)?.[1]
  const filled = {
    ...data,
    time: data.time ?? event.time ?? nowMs,
    entity: data.entity ?? event.subject,
    kind,
  }
  const plain = read(plainChange, filled, where === '' ? 'data' : `${where}.data`)
  const change = {
    id: contentId('chg', tenant, event.source, event.id),
    timeMs: plain.time ?? nowMs,
    entity: plain.entity,
    kind: plain.kind,
    ref: plain.ref,
  }
  return ofTenant(withUntil(change, plain.until), tenant)
}

function withUntil(change: Change, untilMs: number | undefined): Change {
  return untilMs === undefined ? change : { ...change, untilMs }
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** Binary mode: the attributes stand in `ce-` headers, percent-encoded; the body is the data. */
function binaryEvent(headers: Headers, data: unknown): Record<string, unknown> {
  const event: Record<string, unknown> = { data }
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || typeof value !== 'string') continue
    try {
      event[name.slice(3)] = decodeURIComponent(value)
    } catch {
      throw invalid(`header ${name} is not percent-encoded UTF-8`)
    }
  }
  return event
}

/**
 * Reads one body in any of its forms. `mediaType` is in lower case, without parameters. Throws FS_INPUT_INVALID
 * naming the field.
 */
export function changesOf(
  mediaType: string,
  headers: Headers,
  bytes: Uint8Array,
  tenant: string,
  nowMs: number,
): Change[] {
  const json = parseJson(bytes)
  if (typeof json === 'string') throw invalid(`the body ${json}`)
  const { value } = json
  if (headers['ce-specversion'] !== undefined)
    return [changeOfCloudEvent(binaryEvent(headers, value), tenant, nowMs)]
  const one = mediaType.startsWith('application/cloudevents') ? changeOfCloudEvent : changeOfPlain
  if (mediaType === 'application/cloudevents-batch+json' && !Array.isArray(value))
    throw invalid('a CloudEvents batch is a JSON array')
  if (!Array.isArray(value)) return [one(value, tenant, nowMs)]
  if (value.length > CHANGES_MAX) throw invalid(`at most ${CHANGES_MAX} changes fit in one body`)
  return value.map((item, index) => one(item, tenant, nowMs, String(index)))
}
