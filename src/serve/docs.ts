import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'

/** Collects every route registered after it; must come before the routes. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Foreshock',
        version,
        description:
          'Early warning over metrics: samples in, ranked disruptions out. Every error is an RFC 9457 problem ' +
          'with a code of the catalogue. Ingest beside this: POST /api/v1/write (Prometheus remote write 1.0 ' +
          'and 2.0), POST /v1/metrics (OTLP/HTTP), POST /api/samples (JSON lines).',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
          basic: { type: 'http', scheme: 'basic', description: 'The password is the key' },
        },
      },
      security: [{ bearer: [] }, { apiKey: [] }, { basic: [] }],
    },
    transform: jsonSchemaTransform,
  })
}

/** /openapi.json and /docs, from the package's own files: nothing is fetched from elsewhere. */
export async function docRoutes(app: FastifyInstance): Promise<void> {
  app.get('/openapi.json', { config: { quiet: true }, schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(JSON.stringify(app.swagger())),
  )
  await app.register(async scope => {
    scope.setValidatorCompiler(() => () => true)
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      uiConfig: { url: '/openapi.json', docExpansion: 'list', validatorUrl: null },
    })
  })
}
