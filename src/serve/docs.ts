import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { asyncApi } from './asyncapi.ts'

const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 150 32" height="40"><path d="M2 17h6l3-6 5 15 5-22 4 13h5" ' +
  'fill="none" stroke="#ff7b4a" stroke-width="3" stroke-linejoin="round" stroke-linecap="round"/><text x="38" y="22" ' +
  'font-family="system-ui, sans-serif" font-size="18" font-weight="700" fill="#fff">Foreshock</text></svg>'

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

/** /openapi.json, /asyncapi.json and /docs, from the package's own files: nothing is fetched from elsewhere. */
export async function docRoutes(app: FastifyInstance, version: string): Promise<void> {
  app.get('/openapi.json', { config: { quiet: true }, schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(JSON.stringify(app.swagger())),
  )
  app.get('/asyncapi.json', { config: { quiet: true }, schema: { hide: true } }, (request, reply) =>
    reply.type('application/json; charset=utf-8').send(JSON.stringify(asyncApi(version, request.host))),
  )
  await app.register(async scope => {
    scope.setValidatorCompiler(() => () => true)
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      logo: { type: 'image/svg+xml', content: Buffer.from(LOGO), href: '/' },
      uiConfig: { url: '/openapi.json', docExpansion: 'list', validatorUrl: null },
    })
  })
}
