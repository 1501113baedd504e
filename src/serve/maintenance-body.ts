import { z } from 'zod'
import { timesOf } from '../core/calendar.ts'
import { contentId } from '../core/identity.ts'
import { isZone } from '../core/local-time.ts'
import type { MaintenanceState, MaintenanceWindow } from '../core/maintenance.ts'
import { recurrenceOf } from '../core/recurrence.ts'
import { tenantName } from '../core/tenant.ts'
import { invalid } from './http.ts'

/** Maintenance windows as they are posted and shown. */

const glob = z.string().trim().min(1).max(512)
const entities = z.union([glob, z.array(glob).min(1).max(100)])
const when = z.string().min(1).max(64)

export const maintenanceBody = z.strictObject({
  name: z.string().trim().min(1).max(256),
  entity: entities.describe('Entities covered, * stands for any text'),
  from: when.describe('2026-12-24, 2026-12-24T18:00 on the clocks of timeZone, or with an offset'),
  to: when.optional().describe('A day is meant whole; the day of `from` when absent'),
  rule: z.string().max(512).optional().describe('Recurrence of RFC 5545, such as FREQ=WEEKLY;BYDAY=SA'),
  timeZone: z.string().max(64).default('UTC'),
  tenant: tenantName.optional(),
})

export const maintenanceSchema = z.object({
  id: z.string(),
  name: z.string(),
  tenant: z.string(),
  entities: z.array(z.string()),
  by: z.string().describe('Who set it up; `configuration` cannot be deleted here'),
  timeZone: z.string(),
  isOn: z.boolean(),
  until: z.string().nullable().describe('End of the occurrence that is on'),
})
export const maintenancePage = z.object({ items: z.array(maintenanceSchema) })

export const previewQuery = z.object({
  entity: entities,
  from: when,
  to: when.optional(),
  rule: z.string().max(512).optional(),
  timeZone: z.string().max(64).default('UTC'),
})
const hit = z.object({
  id: z.string(),
  title: z.string(),
  severity: z.string(),
  startedAt: z.string(),
  resolvedAt: z.string().nullable(),
  entities: z.array(z.string()),
})
export const previewSchema = z.object({
  shiftedWeeks: z
    .number()
    .int()
    .describe('Weeks that the window was moved back so that there is a record of its hours'),
  hidden: z.array(hit).describe('Recorded disruptions that nobody would have been told of'),
  touched: z.array(hit).describe('Those that would have been told of, since they reach further'),
})

type Body = z.output<typeof maintenanceBody>

/** The window that a body asks for. Throws FS_INPUT_INVALID naming the field. */
export function windowOf(body: Omit<Body, 'tenant'>, tenant: string, by: string): MaintenanceWindow {
  if (!isZone(body.timeZone))
    throw invalid(`timeZone: "${body.timeZone}" is not an IANA name such as Europe/Berlin`)
  const times = timesOf(body.from, body.to, body.timeZone)
  if (typeof times === 'string') throw invalid(times)
  const rule = body.rule === undefined ? undefined : recurrenceOf(body.rule)
  if (typeof rule === 'string') throw invalid(`rule: ${rule}`)
  const names = typeof body.entity === 'string' ? [body.entity] : body.entity
  const whole = rule === undefined ? times : { ...times, rule }
  // The id derives from the content: a window posted twice is one window.
  const id = contentId('mw', tenant, body.name, ...names, JSON.stringify(whole))
  return { id, name: body.name, tenant, entities: names, times: whole, by }
}

export function maintenanceView({
  window,
  isOn,
  untilMs,
}: MaintenanceState): z.infer<typeof maintenanceSchema> {
  const { id, name, tenant, entities: names, by, times } = window
  return {
    id,
    name,
    tenant,
    entities: [...names],
    by,
    timeZone: times.zone,
    isOn,
    until: untilMs === undefined ? null : new Date(untilMs).toISOString(),
  }
}
