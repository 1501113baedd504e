import type { FastifyInstance } from 'fastify'
import { ForeshockError } from '../core/errors.ts'
import type { ServeDeps } from './deps.ts'

const MODELS = '/api/models'
const EXPERIMENTS = '/api/experiments'
const INFERENCE = '/v2'
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/**
 * What a gateway of a fleet answers to questions about experiments, whose pairs of scores are counted in one process only,
 * and about models where it has none: that they are there in one process. Senders are known by then, and no body is read.
 */
export function oneProcessRoutes(app: FastifyInstance, { models }: Pick<ServeDeps, 'models'>): void {
  const mount = (path: string, text: string, config: { scope: 'read'; speaks?: 'oip' }) => {
    const refuse = async (): Promise<never> => {
      throw new ForeshockError('FS_ONE_PROCESS_ONLY', text)
    }
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
  const experiments =
    'experiments run in one-process mode only for now: in a fleet order shadow, canary and promote by hand'
  mount(EXPERIMENTS, experiments, { scope: 'read' })
  if (models) return
  const text = 'learned models run in one-process mode only where a gateway was started without them'
  mount(MODELS, text, { scope: 'read' })
  mount(INFERENCE, text, { scope: 'read', speaks: 'oip' })
}
