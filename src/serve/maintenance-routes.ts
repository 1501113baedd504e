import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Schedule } from '../core/calendar.ts'
import type { Disruption } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'
import { LocalTime } from '../core/local-time.ts'
import type { MaintenanceOrder, MaintenanceWindow } from '../core/maintenance.ts'
import { globOf } from '../core/series-match.ts'
import type { ServeDeps } from './deps.ts'
import { notFound, principalOf, tenantOf, visibleTenant } from './http.ts'
import { IdempotencyCache } from './idempotency.ts'
import {
  maintenanceBody,
  maintenancePage,
  maintenanceSchema,
  maintenanceView,
  previewQuery,
  previewSchema,
  windowOf,
} from './maintenance-body.ts'
import { ERRORS_OF_ONE, ERRORS_OF_READS, ERRORS_OF_WRITES, idParams } from './schemas.ts'

const WEEK_MS = 604_800_000
/** Recorded disruptions looked at for one preview, and told of it. */
const LOOKED_AT_MAX = 5000
const TOLD_MAX = 100

/** Maintenance windows: what falls into them is recorded and told to nobody. */
export function maintenanceRoutes(plain: FastifyInstance, deps: ServeDeps): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const cache = new IdempotencyCache<{ id: string }>(deps.clock)
  const tags = ['maintenance']
  const one = (id: string, tenant: string | undefined) =>
    deps
      .maintenance(deps.clock())
      .find(({ window }) => window.id === id && (tenant === undefined || window.tenant === tenant))

  app.get(
    '/api/maintenance',
    {
      config: { scope: 'read', live: true },
      schema: {
        tags,
        summary: 'Maintenance windows, and which are on',
        response: { 200: maintenancePage, ...ERRORS_OF_READS },
      },
    },
    request => {
      const tenant = visibleTenant(request)
      const all = deps.maintenance(deps.clock())
      return {
        items: all
          .filter(({ window }) => tenant === undefined || window.tenant === tenant)
          .map(maintenanceView),
      }
    },
  )

  app.post(
    '/api/maintenance',
    {
      config: { scope: 'admin', live: true },
      schema: {
        tags,
        summary: 'Set up a maintenance window',
        description: 'The same window posted twice is one. An Idempotency-Key makes repeats harmless.',
        body: maintenanceBody,
        response: { 201: maintenanceSchema, ...ERRORS_OF_WRITES },
      },
    },
    async (request, reply) => {
      const { id: who, tenant: own } = principalOf(request)
      const { tenant: named, ...body } = request.body
      if (own !== undefined && named !== undefined && named !== own)
        throw new ForeshockError('FS_FORBIDDEN', `this key is tied to the tenant ${own}`)
      const tenant = own ?? named ?? tenantOf(request)
      const key = request.headers['idempotency-key']?.toString()
      const { answer, replayed } = await cache.once(
        `${who}\n${tenant}`,
        key,
        Buffer.from(JSON.stringify(request.body)),
        async () => {
          const window = windowOf(body, tenant, who)
          await order(deps, { op: 'add', window }, tenant)
          deps.audit(who, 'maintenance.post', window)
          return { id: window.id }
        },
      )
      if (replayed) reply.header('idempotency-replayed', 'true')
      const found = one(answer.id, tenant)
      if (found === undefined) throw notFound(`maintenance window ${answer.id}: it was deleted since`)
      return reply.code(201).send(maintenanceView(found))
    },
  )

  app.delete(
    '/api/maintenance/:id',
    {
      config: { scope: 'admin', live: true },
      schema: {
        tags,
        summary: 'End a maintenance window at once',
        params: idParams,
        response: { 204: z.null(), ...ERRORS_OF_ONE },
      },
    },
    async (request, reply) => {
      const { id: who } = principalOf(request)
      const tenant = visibleTenant(request)
      const { id } = request.params
      const found = one(id, tenant)
      if (found === undefined) throw notFound(`maintenance window ${id}`)
      if (found.window.by === 'configuration')
        throw new ForeshockError('FS_FORBIDDEN', 'this window stands in the configuration; take it out there')
      const what = { id, tenant: found.window.tenant }
      await order(deps, { op: 'remove', ...what }, what.tenant)
      deps.audit(who, 'maintenance.delete', what)
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/api/maintenance/preview',
    {
      config: { scope: 'read', live: true },
      schema: {
        tags,
        summary: 'What a window would have hidden of what is on record',
        description:
          'A window that is not over yet is moved back by whole weeks until it is: so the same hours of the week are looked at.',
        querystring: previewQuery,
        response: { 200: previewSchema, ...ERRORS_OF_READS },
      },
    },
    async request => {
      const tenant = visibleTenant(request)
      const window = windowOf(
        { name: 'preview', ...request.query },
        tenant ?? 'default',
        principalOf(request).id,
      )
      return preview(window, await recorded(deps, tenant), deps.clock())
    },
  )
}

async function order(deps: ServeDeps, what: MaintenanceOrder, tenant: string): Promise<void> {
  const receipt = await deps.submit({
    kind: 'maintenance',
    encoding: 'identity',
    arrivalMs: deps.clock(),
    tenant,
    bytes: Buffer.from(JSON.stringify(what)),
  })
  if (receipt.rejected > 0)
    throw new ForeshockError('FS_INPUT_INVALID', receipt.reasons.join('; ').slice(0, 1000))
}

async function recorded(deps: ServeDeps, tenant: string | undefined): Promise<Disruption[]> {
  const out: Disruption[] = []
  let cursor: string | undefined
  do {
    const page = await deps.index.disruptions({
      limit: 1000,
      ...(tenant === undefined ? {} : { tenant }),
      ...(cursor === undefined ? {} : { cursor }),
    })
    out.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor !== undefined && out.length < LOOKED_AT_MAX)
  return out
}

/** What of a record lies in a window: hidden when every entity is covered as long as it lasted, else touched. */
function preview(window: MaintenanceWindow, all: readonly Disruption[], nowMs: number) {
  const { times } = window
  const clock = new LocalTime(times.zone)
  const endMs = clock.momentOf(times.startMs + times.nominalMs)
  // A window that comes again is looked at as if it had always been.
  const ahead =
    times.rule === undefined ? endMs - nowMs : clock.momentOf(times.startMs) - (nowMs - LOOK_BACK_MS)
  const shiftedWeeks = Math.max(0, Math.ceil(ahead / WEEK_MS))
  const schedule = new Schedule({ ...times, startMs: times.startMs - shiftedWeeks * WEEK_MS })
  const globs = window.entities.map(globOf)
  const hidden: Disruption[] = []
  const touched: Disruption[] = []
  for (const disruption of all) {
    const startMs = Date.parse(disruption.startedAt)
    const detectedMs = Date.parse(disruption.detectedAt)
    const overMs = disruption.resolvedAt === null ? nowMs : Date.parse(disruption.resolvedAt)
    const covered = disruption.entities.filter(entity => globs.some(fits => fits(entity))).length
    if (covered === 0 || !schedule.isOn(startMs, Math.max(startMs + 1, overMs))) continue
    const until = schedule.endOf(detectedMs)
    const isHidden = covered === disruption.entities.length && until !== undefined && until >= overMs
    ;(isHidden ? hidden : touched).push(disruption)
  }
  return {
    shiftedWeeks,
    hidden: hidden.slice(0, TOLD_MAX).map(shown),
    touched: touched.slice(0, TOLD_MAX).map(shown),
  }
}

/** A recurring window is looked at over this much of the record, ms. */
const LOOK_BACK_MS = 8 * WEEK_MS

function shown({ id, title, severity, startedAt, resolvedAt, entities }: Disruption) {
  return { id, title, severity, startedAt, resolvedAt, entities }
}
