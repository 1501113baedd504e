import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { ForeshockError } from '../core/errors.ts'
import type { ServeDeps } from './deps.ts'
import { notFound, visibleTenant } from './http.ts'
import { cursorOf, offsetOf, page } from './paging.ts'
import {
  detectorsSchema,
  ERRORS_OF_ONE,
  ERRORS_OF_READS,
  entitiesPage,
  entitiesQuery,
  keyParams,
  rejectsQuery,
  rejectsSchema,
  type SeriesView,
  scoresQuery,
  scoresSchema,
  seriesPage,
  seriesQuery,
  topologySchema,
} from './schemas.ts'
import { isoTime, scoresView, seriesView, timeText } from './views.ts'

/** Rows looked at for one page: a filter that matches little must not hold up the event loop. */
const ROWS_SCANNED_MAX = 100_000
/** Reuse of the count of entities, ms: it walks every series. */
const ENTITIES_KEPT_MS = 2000

/** What is watched, and how it is doing. */
export function seriesRoutes(plain: FastifyInstance, deps: ServeDeps): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const config = { scope: 'read' } as const

  app.get(
    '/api/series',
    {
      config: { ...config, live: true },
      schema: {
        tags: ['series'],
        summary: 'Series held, in order of arrival; a page may be short and still have a next',
        querystring: seriesQuery,
        response: { 200: seriesPage, ...ERRORS_OF_READS },
      },
    },
    request => {
      const { metric, entity, kind, q, cursor, limit } = request.query
      const tenant = visibleTenant(request)
      const needle = q?.toLowerCase()
      const items: SeriesView[] = []
      const start = offsetOf(cursor)
      const stop = Math.min(deps.series.capacity, start + ROWS_SCANNED_MAX)
      let row = start
      for (; row < stop && items.length < limit; row++) {
        if (!deps.series.has(row)) continue
        const meta = deps.series.meta(row)
        if (tenant !== undefined && meta.tenant !== tenant) continue
        if (metric !== undefined && meta.metric !== metric) continue
        if (entity !== undefined && meta.entity !== entity) continue
        if (kind !== undefined && meta.kind !== kind) continue
        if (needle !== undefined && !meta.key.toLowerCase().includes(needle)) continue
        items.push(seriesView(meta))
      }
      return { items, next: row < deps.series.capacity ? cursorOf(row) : null }
    },
  )

  app.get(
    '/api/series/:key/scores',
    {
      config: { ...config, live: true },
      schema: {
        tags: ['series'],
        summary: 'Observed against expected over the recent past, newest windows first to be kept',
        params: keyParams,
        querystring: scoresQuery,
        response: { 200: scoresSchema, ...ERRORS_OF_ONE },
      },
    },
    request => {
      const { key } = request.params
      const { from, to, limit } = request.query
      const tenant = visibleTenant(request)
      const row = deps.series.row(key)
      if (row < 0 || (tenant !== undefined && deps.series.meta(row).tenant !== tenant))
        throw notFound(`series ${key}`)
      return scoresView(deps, row, from ?? -Infinity, to ?? Infinity, limit)
    },
  )

  entityRoutes(plain, deps)

  app.get(
    '/api/detectors',
    {
      config: { ...config, live: true },
      schema: {
        tags: ['detectors'],
        summary: 'Detectors at work, and what rules, budgets and the calendar do',
        response: { 200: detectorsSchema },
      },
    },
    request => {
      // Rules, budgets and the calendar count the series of all tenants.
      const report = visibleTenant(request) === undefined ? deps.alerting() : undefined
      const { budgets = [], rules = [], calendar = [] } = report ?? {}
      return {
        items: [...deps.detectors()],
        budgets: [...budgets],
        rules: [...rules],
        calendar: [...calendar],
      }
    },
  )

  app.get(
    '/api/rejects',
    {
      config,
      schema: {
        tags: ['ingest'],
        summary: 'What was refused and why: counts, and the newest examples first',
        querystring: rejectsQuery,
        response: { 200: rejectsSchema, ...ERRORS_OF_READS },
      },
    },
    request => {
      if (visibleTenant(request) !== undefined)
        throw new ForeshockError('FS_FORBIDDEN', 'rejects are not kept by tenant; use a key without one')
      const { reason, limit } = request.query
      const kept = deps.rejects.recent(reason === undefined ? limit : Number.MAX_SAFE_INTEGER)
      return {
        counts: deps.rejects.counts(),
        recent: kept
          .filter(reject => reason === undefined || reject.reason === reason)
          .slice(0, limit)
          .map(({ timeMs, ...rest }) => ({ time: timeText(timeMs), ...rest })),
      }
    },
  )
}

interface EntityCount {
  readonly entity: string
  readonly tenant: string
  series: number
}

function entityRoutes(plain: FastifyInstance, deps: ServeDeps): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const config = { scope: 'read' } as const
  let counted: EntityCount[] = []
  let countedMs = Number.NEGATIVE_INFINITY
  const entities = (tenant: string | undefined): EntityCount[] => {
    if (Math.abs(deps.clock() - countedMs) > ENTITIES_KEPT_MS) {
      counted = countEntities(deps)
      countedMs = deps.clock()
    }
    return tenant === undefined ? counted : counted.filter(e => e.tenant === tenant)
  }

  app.get(
    '/api/entities',
    {
      config: { ...config, live: true },
      schema: {
        tags: ['series'],
        summary: 'What disruptions can be about, by name',
        querystring: entitiesQuery,
        response: { 200: entitiesPage, ...ERRORS_OF_READS },
      },
    },
    request => {
      const { q, cursor, limit } = request.query
      const needle = q?.toLowerCase()
      const all = entities(visibleTenant(request))
      const found = needle === undefined ? all : all.filter(e => e.entity.toLowerCase().includes(needle))
      const { items, next } = page(found, cursor, limit)
      const open = deps.board().filter(d => d.status === 'open')
      const anomalies = deps.anomalies()
      return {
        next,
        items: items.map(e => ({
          ...e,
          anomaliesOpen: anomalies.filter(
            a => a.status === 'open' && a.entity === e.entity && a.tenant === e.tenant,
          ).length,
          disruptions: open
            .filter(d => d.tenant === e.tenant && (d.entity === e.entity || d.entities.includes(e.entity)))
            .map(d => d.id),
        })),
      }
    },
  )

  app.get(
    '/api/topology',
    {
      config: { ...config, live: true },
      schema: {
        tags: ['series'],
        summary: 'Who calls whom',
        response: { 200: topologySchema, ...ERRORS_OF_READS },
      },
    },
    request => {
      const tenant = visibleTenant(request)
      const own = tenant === undefined ? undefined : new Set(entities(tenant).map(e => e.entity))
      const edges = deps
        .edges(tenant)
        .filter(edge => own === undefined || (own.has(edge.source) && own.has(edge.target)))
        .map(({ source, target, lastSeenMs }) => ({ source, target, lastSeen: isoTime(lastSeenMs) }))
      const nodes = [...new Set(edges.flatMap(edge => [edge.source, edge.target]))].sort()
      return { nodes, edges }
    },
  )
}

function countEntities(deps: ServeDeps): EntityCount[] {
  const counts = new Map<string, EntityCount>()
  for (const [, { tenant, entity }] of deps.series.metas()) {
    const name = `${tenant}\u0000${entity}`
    const count = counts.get(name)
    if (count === undefined) counts.set(name, { entity, tenant, series: 1 })
    else count.series++
  }
  return [...counts.values()].sort((a, b) =>
    a.entity !== b.entity ? (a.entity < b.entity ? -1 : 1) : a.tenant < b.tenant ? -1 : 1,
  )
}
