import type { FastifyInstance } from 'fastify'
import { ForeshockError } from '../core/errors.ts'

const PATHS = ['/api/models', '/api/experiments'] as const
const INFERENCE = '/v2'
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/**
 * What a gateway of a fleet answers to questions about learned models: that they are there in one process only. Senders
 * are known by then, and no body is read.
 */
export function oneProcessRoutes(app: FastifyInstance): void {
  const refuse = async (): Promise<never> => {
    throw new ForeshockError(
      'FS_ONE_PROCESS_ONLY',
      'learned models and their experiments run in one-process mode only for now; a fleet scores without them',
    )
  }
  const mount = (path: string, config: { scope: 'read'; speaks?: 'oip' }) => {
    for (const url of [path, `${path}/*`])
      app.route({
        url,
        method: METHODS,
        config,
        schema: { hide: true },
        // Before a body is read, of whatever type it is.
        onRequest: refuse,
        handler: refuse,
      })
  }
  for (const path of PATHS) mount(path, { scope: 'read' })
  mount(INFERENCE, { scope: 'read', speaks: 'oip' })
}
