import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Explanation } from '../disruptions/leaf-table.ts'
import type { ServeDeps } from './deps.ts'
import { notFound, visibleTenant } from './http.ts'
import { ERRORS_OF_BODIES, ERRORS_OF_ONE, moment } from './schemas.ts'

const column = z.string().min(1).max(256)
export const drillBody = z.object({
  columns: z
    .union([
      z.strictObject({ observed: column, expected: column }),
      z.strictObject({ time: column, numerator: column, denominator: column }),
    ])
    .describe('Which columns are numbers; all others are dimensions. A rate is held against its own past'),
  at: moment.optional().describe('Moment of a rate; the newest rows when absent'),
  rows: z
    .array(z.record(z.string().max(256), z.union([z.string().max(1024), z.number()])))
    .min(1)
    .describe(
      'Leaf rows, all with the keys of the first; as many as 64 KiB of body hold, some thousands. Larger tables are for `foreshock drill`',
    ),
})
/** Instead of rows: a metric that is kept here. */
export const liveDrillBody = z.strictObject({
  metric: z.string().min(1).max(256).describe('A count or rate whose series add up'),
  over: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe(
      'Metric below the line where a ratio is asked about, such as requests under errors; `metric` itself where some of its series count failures',
    ),
  entity: z.string().min(1).max(256).optional().describe('Of this entity only'),
  at: moment.optional().describe('End of the stretch looked at; the newest window when absent'),
  windows: z.int().min(1).max(1000).default(5).describe('Windows looked at'),
})
/** Instead of a metric: a disruption, whose cause and symptoms are looked into. */
export const disruptionDrillBody = z.strictObject({
  disruption: z.string().min(1).max(256).describe('Id of a disruption on the board'),
  windows: z.int().min(1).max(1000).default(5).describe('Windows from its start on'),
})
export const drillSchema = z.object({
  question: z
    .object({ metric: z.string(), over: z.string().optional(), entity: z.string().optional() })
    .optional()
    .describe('What was looked into, where a disruption was asked about'),
  explanations: z.array(
    z.object({
      rank: z.number().int(),
      where: z.record(z.string(), z.string()),
      score: z.number(),
      share: z.number(),
      observed: z.number(),
      expected: z.number(),
    }),
  ),
})

/** Which combination of attributes explains a deviation, of rows the asker brings or of a metric that is kept. */
export function drillRoute(plain: FastifyInstance, deps: ServeDeps): void {
  plain.withTypeProvider<ZodTypeProvider>().post(
    '/api/drill-down',
    {
      config: { scope: 'read', live: true } as const,
      schema: {
        tags: ['disruptions'],
        summary: 'Which combination of dimension values explains a deviation',
        body: z.union([drillBody, liveDrillBody, disruptionDrillBody]),
        response: { 200: drillSchema, ...ERRORS_OF_ONE, ...ERRORS_OF_BODIES },
      },
    },
    request => {
      const told = ({ where, ...one }: Explanation) => ({ ...one, where: { ...where } })
      if ('metric' in request.body) {
        const { metric, over, entity, at, windows } = request.body
        const tenant = visibleTenant(request)
        const question = { tenant, metric, over, entity, atMs: at, windows }
        return { explanations: deps.drillSeries(question).map(told) }
      }
      if ('disruption' in request.body) {
        const { disruption: id, windows } = request.body
        const tenant = visibleTenant(request)
        const found = deps
          .board()
          .find(one => one.id === id && (tenant === undefined || one.tenant === tenant))
        if (!found) throw notFound(`disruption ${id}`)
        const { question, explanations } = deps.drillDisruption(found, windows)
        return { question: { ...question }, explanations: explanations.map(told) }
      }
      const { columns, at, rows } = request.body
      const named =
        'observed' in columns
          ? ({ kind: 'count', ...columns } as const)
          : ({ kind: 'rate', ...columns } as const)
      const explanations = deps.drill({ rows, columns: named, atMs: at })
      return { explanations: explanations.map(told) }
    },
  )
}
