import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ForeshockError } from '../core/errors.ts'
import type { ModelDesk, ModelEntry } from '../core/model-standing.ts'
import type { ServeDeps } from './deps.ts'
import { mediaType, notFound, ownerOf, tenantOf, unsupported } from './http.ts'
import { IdempotencyCache } from './idempotency.ts'
import {
  lineView,
  modelParams,
  modelsPage,
  modelView,
  modelWithHistory,
  ORDERS,
  orderBody,
  storedSchema,
  storedView,
  storedWithCard,
  versionParams,
} from './model-body.ts'
import { ERRORS_OF_ONE, ERRORS_OF_READS, ERRORS_OF_WRITES, problem } from './schemas.ts'

/** Largest package as sent, bytes: two formats of the largest model there may be would fit. */
const ARCHIVE_BYTES_MAX = 80 * 1_048_576
const ARCHIVE_TYPES: ReadonlySet<string> = new Set([
  'application/x-tar',
  'application/gzip',
  'application/x-gzip',
  'application/x-gtar',
  'application/octet-stream',
])
/** Orders told with a model. */
const HISTORY_TOLD = 100
const CONFLICTS = { 404: problem, 409: problem, 503: problem } as const

const SUMMARY: Readonly<Record<(typeof ORDERS)[number], string>> = {
  promote: 'Make a version champion: it speaks from the next window on',
  shadow: 'Let a version score beside the champion, unheard',
  canary: 'Let a version speak for a share of the series',
  withdraw: 'End a shadow or canary',
  rollback: 'Make the champion before this one champion again',
  retire: 'End a model: none of its versions scores any more',
}

/** Models: packages, which version has which part, orders. */
export function modelRoutes(plain: FastifyInstance, deps: ServeDeps, desk: ModelDesk): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const tags = ['models']
  const entryOf = (id: string): ModelEntry => {
    const entry = desk.entry(id)
    if (!entry) throw notFound(`model ${id}`)
    return entry
  }

  app.get(
    '/api/models',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Models and their versions',
        response: { 200: modelsPage, ...ERRORS_OF_READS },
      },
    },
    () => ({ items: desk.list().map(modelView) }),
  )

  app.get(
    '/api/models/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'A model, how it does, and what ran when',
        params: modelParams,
        response: { 200: modelWithHistory, ...ERRORS_OF_ONE },
      },
    },
    request => {
      const { id } = request.params
      return { ...modelView(entryOf(id)), history: desk.history(id, HISTORY_TOLD).map(lineView) }
    },
  )

  app.get(
    '/api/models/:id/versions/:version',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'A version with its card',
        params: versionParams,
        response: { 200: storedWithCard, ...ERRORS_OF_ONE },
      },
    },
    request => {
      const { id, version } = request.params
      const { versions, standing } = entryOf(id)
      const stored = versions.find(one => one.version === version)
      if (!stored) throw notFound(`version ${version} of model ${id}`)
      return { ...storedView(stored, standing), card: { ...stored.card } }
    },
  )

  app.delete(
    '/api/models/:id/versions/:version',
    {
      config: { scope: 'models' },
      schema: {
        tags,
        summary: 'Remove a version that has no part',
        description: 'Its number never comes to mean another package.',
        params: versionParams,
        response: { 204: z.null(), ...ERRORS_OF_ONE, ...CONFLICTS },
      },
    },
    async (request, reply) => {
      const { id, version } = request.params
      await desk.remove(id, version, ownerOf(request).id)
      return reply.code(204).send(null)
    },
  )

  const cache = new IdempotencyCache<ModelEntry>(deps.clock)
  for (const op of ORDERS) {
    app.post(
      `/api/models/:id/${op}`,
      {
        config: { scope: 'models' },
        schema: {
          tags,
          summary: SUMMARY[op],
          description:
            'Takes effect between two windows; resolves when it has. An Idempotency-Key makes repeats harmless.',
          params: modelParams,
          body: orderBody,
          response: { 200: modelWithHistory, ...ERRORS_OF_WRITES, ...CONFLICTS },
        },
      },
      async (request, reply) => {
        const { id: who } = ownerOf(request)
        const { id } = request.params
        const { version, share, why } = request.body ?? {}
        if (share !== undefined && op !== 'canary')
          throw new ForeshockError('FS_INPUT_INVALID', 'body share: only a canary has a share')
        if (version !== undefined && !['promote', 'shadow', 'canary'].includes(op))
          throw new ForeshockError('FS_INPUT_INVALID', `body version: ${op} names no version`)
        const key = request.headers['idempotency-key']?.toString()
        const body = Buffer.from(JSON.stringify([op, id, version, share, why]))
        const { answer, replayed } = await cache.once(who, key, body, () =>
          desk.order({ op, model: id, version, share, by: who, why }),
        )
        if (replayed) reply.header('idempotency-replayed', 'true')
        return { ...modelView(answer), history: desk.history(id, HISTORY_TOLD).map(lineView) }
      },
    )
  }
}

/** Takes packages in, as they stream; to be called in a scope of its own. */
export function modelIntake(plain: FastifyInstance, desk: ModelDesk): void {
  plain.removeAllContentTypeParsers()
  plain.addContentTypeParser('*', (_request, body, done) => done(null, body))
  const app = plain.withTypeProvider<ZodTypeProvider>()
  app.put(
    '/api/models/:id/versions/:version',
    {
      config: { scope: 'models' },
      schema: {
        tags: ['models'],
        summary: 'Push a package',
        description:
          'The body is the tar of a package folder, gzip or not: card.json, golden.json and the model. It is checked in ' +
          'a process of its own, then kept for ever under this number; the very same package again is no change.',
        consumes: [...ARCHIVE_TYPES],
        params: versionParams,
        response: { 200: storedSchema, 201: storedSchema, ...ERRORS_OF_WRITES, ...CONFLICTS },
      },
    },
    async (request, reply) => {
      const { id: who } = ownerOf(request)
      const { type } = mediaType(request.headers['content-type'])
      if (!ARCHIVE_TYPES.has(type))
        throw unsupported('a package is a tar: send content-type application/x-tar or application/gzip')
      const { id, version } = request.params
      const body = request.body as Readable
      const { stored, isNew } = await desk.push(id, version, bounded(body), who, tenantOf(request))
      const standing = desk.entry(id)?.standing
      const view = storedView(stored, standing ?? { champion: null, previous: null, challenger: null })
      return reply.code(isNew ? 201 : 200).send(view)
    },
  )
}

async function* bounded(body: Readable): AsyncGenerator<Uint8Array> {
  let bytes = 0
  // Left open when it is not read to its end: the answer goes out on the same connection.
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > ARCHIVE_BYTES_MAX)
      throw new ForeshockError('FS_INPUT_TOO_LARGE', `a package has at most ${ARCHIVE_BYTES_MAX} bytes`)
    yield chunk
  }
}
