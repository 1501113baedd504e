import type { FastifyInstance } from 'fastify'
import { ForeshockError } from '../core/errors.ts'
import type { ServeDeps, Settings } from './deps.ts'
import { principalOf, sendJson, visibleTenant } from './http.ts'
import { problemOf, sendProblem } from './problems.ts'
import { ERRORS_OF_READS, statusSchema } from './schemas.ts'
import { statusView } from './views.ts'

/** What every process of a fleet has: is it alive, is it ready, how is it doing. */
export type ProbeDeps = Pick<ServeDeps, 'ready' | 'telemetry'>

/** For the machines that keep this one running. /livez and /readyz are open to everybody. */
export function probeRoutes(app: FastifyInstance, deps: ProbeDeps, settings: Settings): void {
  const quiet = { config: { quiet: true }, schema: { hide: true } } as const

  app.get('/livez', quiet, (_request, reply) => sendJson(reply, { live: true }))

  app.get('/readyz', quiet, (request, reply) => {
    const { ready, why } = deps.ready()
    if (ready) return sendJson(reply, { ready, why })
    const problem = problemOf('FS_OVERLOADED', `not ready: ${why.join('; ')}`, '/readyz', 503, {
      title: 'The service is not ready',
      remedy: 'wait',
      ready,
      why,
    })
    return sendProblem(request, reply, problem, settings.retryAfterSeconds)
  })

  app.get(
    '/metrics',
    { config: { scope: 'read', quiet: true }, schema: { hide: true } },
    async (request, reply) => {
      const { tenant } = principalOf(request)
      if (tenant !== undefined)
        throw new ForeshockError(
          'FS_FORBIDDEN',
          `this key is tied to the tenant ${tenant}; metrics of the service count all of them`,
        )
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await deps.telemetry.text())
    },
  )
}

export function opsRoutes(app: FastifyInstance, deps: ServeDeps, settings: Settings): void {
  probeRoutes(app, deps, settings)
  app.get(
    '/api/status',
    {
      config: { scope: 'read', quiet: true, live: true },
      schema: {
        tags: ['operations'],
        summary: 'Is data arriving, is it understood, how far has it been judged',
        response: { 200: statusSchema, ...ERRORS_OF_READS },
      },
    },
    request => statusView(deps, settings.version, visibleTenant(request)),
  )
}
