import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { type Change, changeLine, tenantOfChange } from '../core/change.ts'
import { ForeshockError } from '../core/errors.ts'
import { changesOf } from './change-body.ts'
import type { ServeDeps } from './deps.ts'
import { bytesOf, mediaType, principalOf, tenantOf, unsupported, visibleTenant } from './http.ts'
import { IdempotencyCache } from './idempotency.ts'
import { page } from './paging.ts'
import { changesAccepted, changesPage, changesQuery, ERRORS_OF_WRITES } from './schemas.ts'

const TYPES: readonly string[] = [
  'application/json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
]

/** POST /api/changes, in the scope that reads bodies as bytes. */
export function changeIntake(app: FastifyInstance, deps: ServeDeps): void {
  const cache = new IdempotencyCache<{ accepted: number; ids: string[] }>(deps.clock)
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const schema = {
    tags: ['ingest'],
    summary: 'Say what people or machines did: CloudEvents 1.0 or plain JSON',
    description:
      'Takes application/cloudevents+json, application/cloudevents-batch+json, binary CloudEvents (ce-* ' +
      'headers) and plain {"time","entity","kind","ref"}. An Idempotency-Key makes repeats harmless.',
    consumes: [...TYPES],
    response: { 201: changesAccepted, ...ERRORS_OF_WRITES },
  }
  typed.post('/api/changes', { config: { scope: 'ingest' }, schema }, async (request, reply) => {
    const { type } = mediaType(request.headers['content-type'])
    if (!TYPES.includes(type)) throw unsupported(`changes are one of ${TYPES.join(', ')}`)
    const bytes = bytesOf(request)
    const tenant = tenantOf(request)
    const key = request.headers['idempotency-key']
    const who = principalOf(request).id
    const { answer, replayed } = await cache.once(`${who}\n${tenant}`, key?.toString(), bytes, async () => {
      const changes = changesOf(type, request.headers, bytes, tenant, deps.clock())
      await submit(deps, changes, tenant)
      const ids = changes.map(change => change.id)
      deps.audit(who, 'changes.post', { tenant, ids })
      return { accepted: ids.length, ids }
    })
    if (replayed) reply.header('idempotency-replayed', 'true')
    return reply.code(201).send(answer)
  })
}

async function submit(deps: ServeDeps, changes: readonly Change[], tenant: string): Promise<void> {
  if (changes.length === 0) return
  const lines = changes.map(changeLine).join('\n')
  const receipt = await deps.submit({
    kind: 'change',
    encoding: 'identity',
    arrivalMs: deps.clock(),
    tenant,
    bytes: Buffer.from(lines),
  })
  if (receipt.failure) throw new ForeshockError(receipt.failure.code, receipt.failure.detail)
  if (receipt.rejected > 0)
    throw new ForeshockError('FS_INPUT_INVALID', receipt.reasons.join('; ').slice(0, 1000))
}

/** GET /api/changes, newest first. */
export function changeQueries(app: FastifyInstance, deps: ServeDeps): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const schema = {
    tags: ['changes'],
    summary: 'Changes known, newest first',
    querystring: changesQuery,
    response: { 200: changesPage },
  }
  typed.get('/api/changes', { config: { scope: 'read', live: true }, schema }, request => {
    const { entity, kind, from, to, cursor, limit } = request.query
    const tenant = visibleTenant(request)
    const found = deps
      .changes(tenant)
      .filter(
        change =>
          (tenant === undefined || tenantOfChange(change) === tenant) &&
          (entity === undefined || change.entity === entity) &&
          (kind === undefined || change.kind === kind) &&
          (from === undefined || change.timeMs >= from) &&
          (to === undefined || change.timeMs < to),
      )
      .sort((a, b) => b.timeMs - a.timeMs || (a.id < b.id ? -1 : 1))
    const { items, next } = page(found, cursor, limit)
    return {
      next,
      items: items.map(({ timeMs, untilMs, ...rest }) => ({
        ...rest,
        time: new Date(timeMs).toISOString(),
        ...(untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() }),
      })),
    }
  })
}
