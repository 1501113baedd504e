import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Anomaly } from '../core/anomaly.ts'
import { ForeshockError } from '../core/errors.ts'
import { seriesHead } from '../core/series.ts'
import type { ServeDeps } from './deps.ts'
import { type EntityCount, EntityCounts } from './entity-count.ts'
import { notFound, visibleTenant } from './http.ts'
import { Pace } from './pace.ts'
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

/** Rows looked at for one page: a filter that matches little must not keep whoever asks waiting. */
const ROWS_SCANNED_MAX = 100_000

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
    async request => {
      const { metric, entity, kind, q, cursor, limit } = request.query
      const tenant = visibleTenant(request)
      const needle = q?.toLowerCase()
      const items: SeriesView[] = []
      const start = offsetOf(cursor)
      const stop = Math.min(deps.series.capacity, start + ROWS_SCANNED_MAX)
      const head = seriesHead()
      const pace = new Pace()
      let row = start
      for (; row < stop && items.length < limit; row++) {
        if (pace.isDue()) await pace.rest()
        if (!deps.series.head(row, head)) continue
        if (tenant !== undefined && head.tenant !== tenant) continue
        if (metric !== undefined && head.metric !== metric) continue
        if (entity !== undefined && head.entity !== entity) continue
        if (kind !== undefined && head.kind !== kind) continue
        const meta = deps.series.meta(row)
        if (needle === undefined || meta.key.toLowerCase().includes(needle)) items.push(seriesView(meta))
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
        response: { 200: detectorsSchema, ...ERRORS_OF_READS },
      },
    },
    request => {
      // Rules, budgets and the calendar count the series of all tenants.
      const report = visibleTenant(request) === undefined ? deps.alerting() : undefined
      const { budgets = [], rules = [], calendar = [] } = report ?? {}
      return {
        // What they count is of all tenants too, and stands in /metrics.
        items: deps.detectors().map(({ id, warmUpWindows, bytes, problem }) => ({
          id,
          warmUpWindows,
          bytes,
          ...(problem === undefined ? {} : { problem }),
        })),
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

function entityRoutes(plain: FastifyInstance, deps: ServeDeps): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const config = { scope: 'read' } as const
  const counts = new EntityCounts(() => deps.series, deps.clock)
  const entities = async (tenant: string | undefined): Promise<readonly EntityCount[]> => {
    const all = await counts.all()
    return tenant === undefined ? all : all.filter(e => e.tenant === tenant)
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
    async request => {
      const { q, cursor, limit } = request.query
      const needle = q?.toLowerCase()
      const all = await entities(visibleTenant(request))
      const found = needle === undefined ? all : all.filter(e => e.entity.toLowerCase().includes(needle))
      const { items, next } = page(found, cursor, limit)
      const open = deps.board().filter(d => d.status === 'open')
      const anomalies = openBy(deps.anomalies())
      return {
        next,
        items: items.map(e => ({
          ...e,
          anomaliesOpen: anomalies.get(e.tenant)?.get(e.entity) ?? 0,
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
    async request => {
      const tenant = visibleTenant(request)
      const own = tenant === undefined ? undefined : new Set((await entities(tenant)).map(e => e.entity))
      const edges = deps
        .edges(tenant)
        .filter(edge => own === undefined || (own.has(edge.source) && own.has(edge.target)))
        .map(({ source, target, lastSeenMs }) => ({ source, target, lastSeen: isoTime(lastSeenMs) }))
      const nodes = [...new Set(edges.flatMap(edge => [edge.source, edge.target]))].sort()
      return { nodes, edges }
    },
  )
}

/** Open anomalies by tenant and entity. */
function openBy(anomalies: readonly Anomaly[]): Map<string, Map<string, number>> {
  const out = new Map<string, Map<string, number>>()
  for (const { status, tenant, entity } of anomalies) {
    if (status !== 'open') continue
    const own = out.get(tenant) ?? new Map<string, number>()
    out.set(tenant, own)
    own.set(entity, (own.get(entity) ?? 0) + 1)
  }
  return out
}
