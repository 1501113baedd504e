import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { sendAnswer } from './answer.ts'
import type { BodyMemory } from './body-memory.ts'
import type { ServeDeps, Settings } from './deps.ts'
import { bytesOf, encodingOf, tenantOf } from './http.ts'
import { answerOf, INGEST_PATHS, INTAKES, type IngestPath } from './ingest-answers.ts'

/**
 * The hot routes. Bodies go to the pipeline as the bytes that came: nothing here looks into them, and nothing
 * is made per sample.
 */
export function ingestRoutes(app: FastifyInstance, deps: IngestDeps, settings: Settings): void {
  const config = { scope: 'ingest', quiet: true } as const
  // Answers to machines: headers that tell a browser what a page may do cost as much as the rest of the answer.
  const hot = { config, schema: { hide: true }, helmet: false } as const
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('x-content-type-options', 'nosniff')
    done()
  })
  for (const path of INGEST_PATHS) {
    const { speaks } = INTAKES[path]
    const options = speaks === undefined ? hot : { ...hot, config: { ...config, speaks } }
    app.post(path, options, (request, reply) => take(deps, settings, path, request, reply))
  }
}

export type IngestDeps = Pick<ServeDeps, 'submit' | 'clock'>

/** Once a body was processed and is durable nobody looks at it any more; one that failed may still wait to be written. */
export function givingBack(deps: ServeDeps, memory: BodyMemory): IngestDeps {
  return {
    clock: () => deps.clock(),
    submit: async envelope => {
      const receipt = await deps.submit(envelope)
      memory.give(envelope.bytes)
      return receipt
    },
  }
}

async function take(
  deps: IngestDeps,
  settings: Settings,
  path: IngestPath,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { kindOf, encodings, unsaid } = INTAKES[path]
  const contentType = request.headers['content-type']
  const kind = kindOf(contentType)
  const receipt = await deps.submit({
    kind,
    encoding: encodingOf(request.headers['content-encoding'], encodings, unsaid),
    arrivalMs: deps.clock(),
    tenant: tenantOf(request),
    bytes: bytesOf(request),
  })
  const { retryAfterSeconds } = settings
  return sendAnswer(
    reply,
    answerOf({ path, url: request.url, contentType, kind, retryAfterSeconds }, receipt),
  )
}
