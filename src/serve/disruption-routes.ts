import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Disruption } from '../core/disruption.ts'
import { disruptionSchema } from '../core/disruption.ts'
import type { ServeDeps, Settings } from './deps.ts'
import type { Forwarder } from './forward.ts'
import { notFound, visibleTenant } from './http.ts'
import { page } from './paging.ts'
import {
  anomaliesPage,
  anomaliesQuery,
  boardSchema,
  disruptionsPage,
  disruptionsQuery,
  ERRORS_OF_BODIES,
  ERRORS_OF_ONE,
  ERRORS_OF_READS,
  evidencePage,
  explainBody,
  explainSchema,
  idParams,
  type StatusView,
  similarPage,
  similarQuery,
  statusSchema,
} from './schemas.ts'
import { anomalyView, awayView, evidenceView, statusView, suspectView, timeText } from './views.ts'

/** Open anomalies change with every window: whoever scores them knows. Ended ones are on record. */
const asksForOpen = (request: FastifyRequest) => (request.query as { status?: unknown }).status === 'open'

/** "What is disrupted now, why, since when, how sure." */
export function disruptionRoutes(
  plain: FastifyInstance,
  deps: ServeDeps,
  settings: Settings,
  forwarder?: Forwarder,
): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const config = { scope: 'read' } as const

  const statusOf = async (request: FastifyRequest): Promise<StatusView> => {
    if (forwarder === undefined) return statusView(deps, settings.version, visibleTenant(request))
    const told = statusSchema.safeParse(await forwarder.aside(request, '/api/status'))
    return told.success ? told.data : awayView(deps, settings.version, visibleTenant(request))
  }

  /** The live one where there is one: its rank is of this moment. */
  const find = async (id: string, tenant: string | undefined): Promise<Disruption> => {
    const found = deps.board().find(d => d.id === id) ?? (await deps.index.disruption(id))
    if (found === undefined || (tenant !== undefined && found.tenant !== tenant))
      throw notFound(`disruption ${id}`)
    return found
  }

  app.get(
    '/api/board',
    {
      config: { ...config, quiet: true },
      schema: {
        tags: ['disruptions'],
        summary: 'The live ranking, highest first, with the state of the service',
        response: { 200: boardSchema, ...ERRORS_OF_READS },
      },
    },
    async request => {
      const tenant = visibleTenant(request)
      const items = deps.board().filter(d => tenant === undefined || d.tenant === tenant)
      return { status: await statusOf(request), items }
    },
  )

  app.get(
    '/api/disruptions',
    {
      config,
      schema: {
        tags: ['disruptions'],
        summary: 'The record of disruptions, newest first',
        querystring: disruptionsQuery,
        response: { 200: disruptionsPage, ...ERRORS_OF_READS },
      },
    },
    request => {
      const { from, to, ...query } = request.query
      return deps.index.disruptions(asQuery(query, from, to, visibleTenant(request)))
    },
  )

  app.get(
    '/api/disruptions/:id',
    {
      config,
      schema: {
        tags: ['disruptions'],
        summary: 'One disruption as it stands',
        params: idParams,
        response: { 200: disruptionSchema, ...ERRORS_OF_ONE },
      },
    },
    request => find(request.params.id, visibleTenant(request)),
  )

  app.get(
    '/api/disruptions/:id/evidence',
    {
      config,
      schema: {
        tags: ['disruptions'],
        summary: 'Its evidence, with the way to each chart',
        params: idParams,
        response: { 200: evidencePage, ...ERRORS_OF_ONE },
      },
    },
    async request => ({ items: evidenceView(await find(request.params.id, visibleTenant(request))) }),
  )

  app.get(
    '/api/disruptions/:id/similar',
    {
      config,
      schema: {
        tags: ['disruptions'],
        summary: 'Disruptions of the record that look like it, most similar first',
        params: idParams,
        querystring: similarQuery,
        response: { 200: similarPage, ...ERRORS_OF_ONE },
      },
    },
    async request => {
      const { id } = await find(request.params.id, visibleTenant(request))
      const found = await deps.index.similar(id, request.query.limit)
      return { items: found.map(one => ({ ...one, shared: [...one.shared] })) }
    },
  )

  app.get(
    '/api/anomalies',
    {
      config: { ...config, live: asksForOpen },
      schema: {
        tags: ['disruptions'],
        summary: 'Single series that are or were strange',
        querystring: anomaliesQuery,
        response: { 200: anomaliesPage, ...ERRORS_OF_READS },
      },
    },
    async request => {
      const { from, to, ...rest } = request.query
      const tenant = visibleTenant(request)
      if (rest.status !== 'open') {
        const { items, next } = await deps.index.anomalies(asQuery(rest, from, to, tenant))
        return { items: items.map(anomalyView), next }
      }
      // Open ones change with every window: the live list knows more than the record of their opening.
      const live = deps
        .anomalies()
        .filter(
          a =>
            a.status === 'open' &&
            (tenant === undefined || a.tenant === tenant) &&
            (rest.entity === undefined || a.entity === rest.entity) &&
            (rest.series === undefined || a.key === rest.series) &&
            (from === undefined || a.endMs >= from) &&
            (to === undefined || a.startMs < to),
        )
        .sort((a, b) => b.surprise - a.surprise || (a.id < b.id ? -1 : 1))
      const { items, next } = page(live, rest.cursor, rest.limit)
      return { items: items.map(anomalyView), next }
    },
  )

  app.post(
    '/api/explain',
    {
      config: { ...config, live: true },
      schema: {
        tags: ['disruptions'],
        summary: 'Ranked suspects for one moment',
        body: explainBody,
        response: { 200: explainSchema, ...ERRORS_OF_READS, ...ERRORS_OF_BODIES },
      },
    },
    request => {
      const { at, lookback } = request.body
      const suspects = deps.explain(at, lookback * 1000, visibleTenant(request))
      return { at: timeText(at), suspects: suspects.map(suspectView) }
    },
  )
}

/** The query as the record index takes it: absent is absent, not undefined. */
function asQuery<T extends object>(
  query: T,
  fromMs: number | undefined,
  toMs: number | undefined,
  tenant: string | undefined,
): { [K in keyof T]: Exclude<T[K], undefined> } & { fromMs?: number; toMs?: number; tenant?: string } {
  const all = { ...query, fromMs, toMs, tenant }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof asQuery<T>
  >
}
