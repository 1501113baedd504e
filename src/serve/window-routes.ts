import { Readable } from 'node:stream'
import { setImmediate as breathe } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Anomaly } from '../core/anomaly.ts'
import { ForeshockError } from '../core/errors.ts'
import { historyColumns } from '../core/history.ts'
import { type SeriesHead, seriesHead } from '../core/series.ts'
import { globOf } from '../core/series-match.ts'
import { StrangeSpans } from '../core/strange-spans.ts'
import { type WindowFormat, type WindowRows, windowRows } from '../core/window-rows.ts'
import type { ServeDeps } from './deps.ts'
import { visibleTenant } from './http.ts'
import { Pace } from './pace.ts'
import { rowsWithPast } from './past-rows.ts'
import { moment } from './schemas.ts'

/** Rows of a row group: made in some 30 ms, during which nothing else is answered. */
const GROUP_ROWS = 8192
/** Exports under way at once; each reads all the history there is. */
const EXPORTS_MAX = 2
/** A page of the index. */
const PAGE = 1000

const TYPES: Readonly<Record<WindowFormat, string>> = {
  parquet: 'application/vnd.apache.parquet',
  ndjson: 'application/x-ndjson; charset=utf-8',
}

const glob = z.string().min(1).max(512).optional()
const windowsQuery = z.object({
  from: moment.optional().describe('Windows that end after this'),
  to: moment.optional().describe('Windows that end by this'),
  entity: glob.describe('* stands for any text'),
  metric: glob.describe('* stands for any text'),
  format: z.enum(['parquet', 'ndjson']).default('parquet'),
})

interface Wanted {
  readonly fromMs: number
  readonly toMs: number
  readonly format: WindowFormat
  readonly tenant: string | undefined
  matches(head: SeriesHead): boolean
}

/** The very windows that detectors saw, to train on. */
export function windowRoutes(app: FastifyInstance, deps: ServeDeps): void {
  let running = 0
  app.get(
    '/api/windows',
    {
      config: { scope: 'read', live: true },
      exposeHeadRoute: false,
      schema: {
        tags: ['series'],
        summary: 'Windows of the recent past as detectors saw them, as Parquet or JSON lines',
        description:
          'Series after series, each oldest first. coverage, point and incident are kept by `foreshock windows export --input` only.',
        querystring: windowsQuery,
        produces: Object.values(TYPES),
      },
    },
    (request, reply) => {
      if (running >= EXPORTS_MAX)
        throw new ForeshockError('FS_OVERLOADED', `${EXPORTS_MAX} exports are running already`)
      const { from, to, entity, metric, format } = request.query as z.infer<typeof windowsQuery>
      const tenant = visibleTenant(request)
      const [isEntity, isMetric] = [globOf(entity), globOf(metric)]
      const bytes = bytesOf(deps, {
        fromMs: from ?? -Infinity,
        toMs: to ?? Infinity,
        format,
        tenant,
        matches: head =>
          (tenant === undefined || head.tenant === tenant) && isEntity(head.entity) && isMetric(head.metric),
      })
      running++
      const stream = Readable.from(bytes, { objectMode: false })
      stream.once('close', () => running--)
      return reply.type(TYPES[format]).header('cache-control', 'no-store').send(stream)
    },
  )
}

async function* bytesOf(deps: ServeDeps, wanted: Wanted): AsyncGenerator<Uint8Array> {
  const made: Uint8Array[] = []
  const file = deps.windows.open(wanted.format, bytes => void made.push(bytes))
  for await (const rows of rowsOf(deps, wanted)) {
    file.write(rows)
    yield* made.splice(0)
    await breathe()
  }
  file.finish()
  yield* made
}

/** Rows in groups; lent until the next. */
async function* rowsOf(deps: ServeDeps, wanted: Wanted): AsyncGenerator<WindowRows> {
  const { series, history } = deps
  const spans = await spansOf(deps, wanted)
  const rows = windowRows(GROUP_ROWS)
  const columns = historyColumns(history.depth)
  const head = seriesHead()
  const pace = new Pace()
  for (const row of rowsWithPast(deps)) {
    if (pace.isDue()) await pace.rest()
    if (!series.head(row, head) || !wanted.matches(head)) continue
    const meta = series.meta(row)
    // All of a series is read at once: windows that are complete later are no part of it.
    const count = history.read(row, columns)
    const newestMs = history.newestEndMs
    for (let i = 0; i < count; i++) {
      const timeMs = newestMs - (count - 1 - i) * history.stepMs
      if (timeMs <= wanted.fromMs || timeMs > wanted.toMs) continue
      if (Number.isNaN(columns.observed[i]) && Number.isNaN(columns.surprise[i])) continue
      const at = rows.length++
      const disruption = spans.at(meta.key, timeMs)
      rows.meta[at] = meta
      rows.timeMs[at] = timeMs
      rows.observed[at] = columns.observed[i]
      rows.expected[at] = columns.expected[i]
      rows.lower[at] = columns.lower[i]
      rows.upper[at] = columns.upper[i]
      rows.coverage[at] = Number.NaN
      rows.surprise[at] = columns.surprise[i]
      rows.point[at] = Number.NaN
      rows.incident[at] = Number.NaN
      rows.score[at] = deps.windows.score(columns.surprise[i])
      rows.anomalous[at] = disruption === undefined ? 0 : 1
      rows.disruption[at] = disruption ?? ''
      if (rows.length < rows.capacity) continue
      yield rows
      rows.length = 0
    }
  }
  yield rows
}

/** What the index knows to have been strange in that time. Those still open are as they are now. */
async function spansOf(deps: ServeDeps, { fromMs, toMs, tenant }: Wanted): Promise<StrangeSpans> {
  const spans = new StrangeSpans()
  const time = {
    ...(Number.isFinite(fromMs) ? { fromMs } : {}),
    ...(Number.isFinite(toMs) ? { toMs } : {}),
    ...(tenant === undefined ? {} : { tenant }),
    limit: PAGE,
  }
  // The record may go back a year, and no window that is handed out is older than the history.
  const { newestEndMs, depth, stepMs } = deps.history
  const heldFromMs = Math.max(fromMs, newestEndMs - depth * stepMs)
  const held = Number.isFinite(heldFromMs) ? { ...time, fromMs: heldFromMs } : time
  const ended: Anomaly[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await deps.index.anomalies({ ...held, ...(cursor === undefined ? {} : { cursor }) })
    ended.push(...page.items)
    cursor = page.next
  }
  // The index answers newest first.
  for (const anomaly of ended.reverse()) spans.anomaly(anomaly)
  for (const anomaly of deps.anomalies()) spans.anomaly(anomaly)
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await deps.index.disruptions({ ...time, ...(cursor === undefined ? {} : { cursor }) })
    for (const disruption of page.items) spans.disruption(disruption)
    cursor = page.next
  }
  for (const disruption of deps.board()) spans.disruption(disruption)
  return spans
}
