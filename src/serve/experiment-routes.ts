import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import { ForeshockError } from '../core/errors.ts'
import {
  type ExperimentLabel,
  type ExperimentPlan,
  type ExperimentReport,
  experimentPlanSchema,
  experimentSchema,
} from '../core/experiment.ts'
import type { ServeDeps } from './deps.ts'
import { experimentsPage, labelOf, labelsAnswer, labelsBody, stopBody } from './experiment-body.ts'
import { notFound, ownerOf, principalOf } from './http.ts'
import { IdempotencyCache } from './idempotency.ts'
import { ERRORS_OF_ONE, ERRORS_OF_READS, ERRORS_OF_WRITES, idParams } from './schemas.ts'

/** Largest body of labels: a thousand with long keys. */
const LABELS_BODY_BYTES_MAX = 1024 * 1024

/** What the routes need of experiments; `experiments/experiments.ts` is it. */
export interface ExperimentService {
  /** Those that run, then the others, newest first. */
  list(): readonly ExperimentReport[]
  one(id: string): ExperimentReport | undefined
  start(plan: ExperimentPlan, by: string): Promise<ExperimentReport>
  stop(
    id: string,
    by: string,
    how: { readonly promote: boolean; readonly why?: string | undefined },
  ): Promise<ExperimentReport>
  label(
    id: string,
    labels: readonly ExperimentLabel[],
  ): Promise<{ readonly taken: number; readonly refused: readonly { index: number; reason: string }[] }>
}

/** Champion against challenger on the same windows: started, watched, labelled, stopped. */
export function experimentRoutes(plain: FastifyInstance, deps: ServeDeps): void {
  const { experiments } = deps
  if (experiments === undefined) return
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const tags = ['experiments']
  const cache = new IdempotencyCache<z.output<typeof experimentSchema>>(deps.clock)
  const one = (id: string) => {
    const found = experiments.one(id)
    if (found === undefined) throw notFound(`experiment ${id}`)
    return found
  }

  app.get(
    '/api/experiments',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Experiments, those that run first, then the newest',
        response: { 200: experimentsPage, ...ERRORS_OF_READS },
      },
    },
    () => ({ items: [...experiments.list()] }),
  )

  app.get(
    '/api/experiments/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'How one experiment stands: agreement, alerts, time, failures, verdicts, guardrails',
        params: idParams,
        response: { 200: experimentSchema, ...ERRORS_OF_ONE },
      },
    },
    request => one(request.params.id),
  )

  app.post(
    '/api/experiments',
    {
      config: { scope: 'models' },
      schema: {
        tags,
        summary: 'Let a challenger score beside the champion',
        description:
          'In shadow nobody hears it, as canary it speaks for a share of the series. It is withdrawn by guardrails, at the ' +
          'end of its time, or when the champion is shown to be better; promoted when it is shown to be better and ' +
          'autoPromote is set. An Idempotency-Key makes repeats harmless.',
        body: experimentPlanSchema,
        response: { 201: experimentSchema, ...ERRORS_OF_WRITES },
      },
    },
    async (request, reply) => {
      const who = ownerOf(request)
      const { answer, replayed } = await cache.once(
        who.id,
        request.headers['idempotency-key']?.toString(),
        Buffer.from(JSON.stringify(request.body)),
        () => experiments.start(request.body, who.id),
      )
      if (replayed) reply.header('idempotency-replayed', 'true')
      return reply.code(201).send(answer)
    },
  )

  app.post(
    '/api/experiments/:id/stop',
    {
      config: { scope: 'models' },
      schema: {
        tags,
        summary: 'End an experiment at once; its challenger is withdrawn, or promoted',
        params: idParams,
        body: stopBody.default(stopBody.parse({})),
        response: { 200: experimentSchema, ...ERRORS_OF_ONE },
      },
    },
    request => experiments.stop(request.params.id, ownerOf(request).id, request.body),
  )

  app.post(
    '/api/experiments/:id/labels',
    {
      config: { scope: 'label' },
      bodyLimit: LABELS_BODY_BYTES_MAX,
      schema: {
        tags,
        summary: 'Say what was anomalous and what was normal',
        description:
          'Time of a series or of an entity. An anomalous interval counts as one unit; normal time is cut into units of ' +
          '`unitSeconds`. Time that was labelled before is refused: no moment counts twice.',
        params: idParams,
        body: labelsBody,
        response: { 200: labelsAnswer, ...ERRORS_OF_ONE, ...ERRORS_OF_WRITES },
      },
    },
    async request => {
      const { id } = request.params
      const who = principalOf(request)
      const labels = request.body.labels.map((label, i) => {
        if (who.tenant !== undefined && label.tenant !== undefined && label.tenant !== who.tenant)
          throw new ForeshockError(
            'FS_FORBIDDEN',
            `labels.${i}: this key is tied to the tenant ${who.tenant}`,
          )
        return labelOf(label, who.tenant, who.id)
      })
      const { taken, refused } = await experiments.label(id, labels)
      return { taken, refused: [...refused], experiment: one(id) }
    },
  )
}
