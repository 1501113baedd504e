import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServeDeps, Settings } from '../deps.ts'
import { visibleTenant } from '../http.ts'
import { Pace } from '../pace.ts'
import { labelOf, METRICS, type PromSeries, select } from './samples.ts'
import { type Matcher, parseQuery, parseSelector, QueryError } from './selector.ts'

/**
 * The query API of Prometheus (its documentation, "HTTP API") over what Foreshock computes, so that Grafana's Prometheus
 * data source and promtool work as they are. Errors are in Prometheus' own form.
 */

/** Points a series of a range query, as in Prometheus. */
const POINTS_MAX = 11_000
/** Points of all series of one answer. */
const ANSWER_POINTS_MAX = 2_000_000
/** The level of Prometheus' API that is spoken: clients decide by it what to ask. */
const API_LEVEL = '2.45.0'
const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
}

/** What every process knows. */
const HERE = new Set(['/api/v1/metadata', '/api/v1/status/buildinfo'])

type Parameters = URLSearchParams
type Answer = (parameters: Parameters, request: FastifyRequest) => unknown

export function prometheusRoutes(app: FastifyInstance, deps: ServeDeps, settings: Settings): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, body),
  )
  const now = () => deps.clock()
  const found = (parameters: Parameters, request: FastifyRequest) =>
    series(deps, visibleTenant(request), parameters.getAll('match[]'))

  const routes: Record<string, Answer> = {
    '/api/v1/query': (parameters, request) =>
      instant(deps, visibleTenant(request), wanted(parameters, 'query'), timeOf(parameters, 'time', now())),
    '/api/v1/query_range': (parameters, request) => range(deps, visibleTenant(request), parameters),
    '/api/v1/series': async (parameters, request) => {
      if (!parameters.has('match[]')) throw new QueryError('no match[] was given')
      const all = await found(parameters, request)
      return limited(
        parameters,
        all.map(one => one.labels),
      )
    },
    '/api/v1/labels': async (parameters, request) => {
      const all = await found(parameters, request)
      const names = new Set(all.flatMap(one => Object.keys(one.labels)))
      return limited(parameters, [...names].sort())
    },
    '/api/v1/metadata': parameters => metadata(parameters.get('metric')),
    '/api/v1/status/buildinfo': () => ({
      version: API_LEVEL,
      revision: settings.version,
      branch: 'foreshock',
      buildUser: '',
      buildDate: '',
      goVersion: '',
    }),
  }
  const config = { scope: 'read', speaks: 'prometheus', quiet: true } as const
  const options = { config: { ...config, live: true }, schema: { hide: true } } as const
  for (const [url, answer] of Object.entries(routes))
    app.route({
      method: ['GET', 'POST'],
      url,
      ...options,
      ...(HERE.has(url) ? { config } : {}),
      handler: (request, reply) => answered(request, reply, answer),
    })
  app.get('/api/v1/label/:name/values', options, (request, reply) =>
    answered(request, reply, async parameters => {
      const { name } = request.params as { name: string }
      const all = await found(parameters, request)
      const values = new Set(all.flatMap(one => labelOf(one.labels, name) || []))
      return limited(parameters, [...values].sort())
    }),
  )
}

async function answered(request: FastifyRequest, reply: FastifyReply, answer: Answer): Promise<FastifyReply> {
  // A query may hold question marks as they are.
  const [path] = request.url.split('?', 1)
  const parameters = new URLSearchParams(request.url.slice(path.length))
  if (typeof request.body === 'string')
    for (const [name, value] of new URLSearchParams(request.body)) parameters.append(name, value)
  try {
    const data = await answer(parameters, request)
    return reply.type('application/json; charset=utf-8').send(JSON.stringify({ status: 'success', data }))
  } catch (error) {
    if (!(error instanceof QueryError)) throw error
    return reply
      .code(400)
      .type('application/json; charset=utf-8')
      .send(JSON.stringify({ status: 'error', errorType: 'bad_data', error: error.message }))
  }
}

async function instant(
  deps: ServeDeps,
  tenant: string | undefined,
  text: string,
  timeMs: number,
): Promise<unknown> {
  const query = parseQuery(text)
  if (query.type === 'number') return { resultType: 'scalar', result: point(timeMs, query.value) }
  const result = []
  const pace = new Pace()
  for (const one of await select(deps, tenant, query.matchers, true)) {
    if (pace.isDue()) await pace.rest()
    const value = one.at(timeMs)
    if (!Number.isNaN(value)) result.push({ metric: one.labels, value: point(timeMs, value) })
  }
  return { resultType: 'vector', result }
}

async function range(deps: ServeDeps, tenant: string | undefined, parameters: Parameters): Promise<unknown> {
  const query = parseQuery(wanted(parameters, 'query'))
  const from = timeOf(parameters, 'start')
  const to = timeOf(parameters, 'end')
  const stepMs = durationOf(wanted(parameters, 'step'))
  if (to < from) throw new QueryError('end lies before start')
  const points = Math.floor((to - from) / stepMs) + 1
  if (points > POINTS_MAX)
    throw new QueryError(`${points} points a series are more than ${POINTS_MAX}; take a longer step`)
  const times = Array.from({ length: points }, (_, i) => from + i * stepMs)
  if (query.type === 'number')
    return {
      resultType: 'matrix',
      result: [{ metric: {}, values: times.map(time => point(time, query.value)) }],
    }
  const result = []
  let sum = 0
  const pace = new Pace()
  for (const one of await select(deps, tenant, query.matchers, true)) {
    if (pace.isDue()) await pace.rest()
    const values = valuesAt(one, times)
    sum += values.length
    if (sum > ANSWER_POINTS_MAX)
      throw new QueryError(`more than ${ANSWER_POINTS_MAX} points match; ask for fewer series`)
    if (values.length > 0) result.push({ metric: one.labels, values })
  }
  return { resultType: 'matrix', result }
}

function valuesAt(series: PromSeries, times: readonly number[]): [number, string][] {
  const values: [number, string][] = []
  for (const time of times) {
    const value = series.at(time)
    if (!Number.isNaN(value)) values.push(point(time, value))
  }
  return values
}

/** A value as Prometheus writes it: seconds, and the number as text. */
function point(timeMs: number, value: number): [number, string] {
  const text =
    value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
  return [timeMs / 1000, text]
}

/** The series any of the selectors means; all, when none is given. */
async function series(
  deps: ServeDeps,
  tenant: string | undefined,
  selectors: readonly string[],
): Promise<PromSeries[]> {
  const everything: Matcher[][] = [[]]
  const all = selectors.length === 0 ? everything : selectors.map(text => parseSelector(text.trim()))
  const byLabels = new Map<string, PromSeries>()
  for (const matchers of all)
    for (const one of await select(deps, tenant, matchers, false))
      byLabels.set(JSON.stringify(one.labels), one)
  return [...byLabels.values()]
}

function metadata(metric: string | null): unknown {
  const all = Object.entries(METRICS).filter(([name]) => metric === null || name === metric)
  return Object.fromEntries(all.map(([name, help]) => [name, [{ type: 'gauge', help, unit: '' }]]))
}

function limited<T>(parameters: Parameters, items: T[]): T[] {
  const limit = Number(parameters.get('limit') ?? 0)
  if (!Number.isInteger(limit) || limit < 0) throw new QueryError('limit must be a whole number')
  return limit === 0 ? items : items.slice(0, limit)
}

function wanted(parameters: Parameters, name: string): string {
  const value = parameters.get(name)
  if (value === null || value.trim() === '') throw new QueryError(`no ${name} was given`)
  return value
}

/** Unix seconds or RFC 3339, in Unix ms. */
function timeOf(parameters: Parameters, name: string, otherwise?: number): number {
  const text = parameters.get(name)
  if (text === null && otherwise !== undefined) return otherwise
  const seconds = Number(text)
  const timeMs =
    text !== null && text !== '' && !Number.isNaN(seconds) ? seconds * 1000 : Date.parse(text ?? '')
  if (!(Math.abs(timeMs) <= 8.64e15)) throw new QueryError(`${name} must be Unix seconds or RFC 3339`)
  return timeMs
}

/** Seconds, or a duration such as 1m30s, in ms. */
function durationOf(text: string): number {
  const seconds = Number(text)
  let ms = seconds * 1000
  if (Number.isNaN(seconds)) {
    const parts = [...text.matchAll(/(\d+)(ms|[smhdwy])/g)]
    ms = parts.map(part => part[0]).join('') === text ? 0 : Number.NaN
    for (const [, count, unit] of parts) ms += Number(count) * UNIT_MS[unit]
  }
  if (!(ms > 0 && ms < Number.POSITIVE_INFINITY))
    throw new QueryError('step must be seconds or a duration such as 15s, longer than nothing')
  return ms
}
