import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

const PAGE = join(import.meta.dirname, 'page')
const CHART_FILES: readonly string[] = ['/uPlot.esm.js', '/uPlot.min.css']

/** The built-in page: plain files and uPlot, nothing from elsewhere. It holds no data, so it needs no key. */
export async function pageRoutes(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', route => {
    route.schema = { ...route.schema, hide: true }
    route.config = { ...route.config, quiet: true }
  })
  const chart = dirname(createRequire(import.meta.url).resolve('uplot'))
  await app.register(fastifyStatic, { root: PAGE, wildcard: false, cacheControl: false })
  await app.register(fastifyStatic, {
    root: chart,
    prefix: '/assets/',
    decorateReply: false,
    allowedPath: path => CHART_FILES.includes(path),
    maxAge: 3_600_000,
  })
}
