import { createHash } from 'node:crypto'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import { ForeshockError } from '../core/errors.ts'
import type { RateCounter } from '../core/ports.ts'
import { isLoopback, Keyring } from './auth.ts'
import { BodyMemory } from './body-memory.ts'
import { BodyRoom } from './body-room.ts'
import { changeIntake, changeQueries } from './change-routes.ts'
import { type ServeDeps, type ServeOptions, type Settings, settingsOf } from './deps.ts'
import { disruptionRoutes } from './disruption-routes.ts'
import { describeRoutes, docRoutes } from './docs.ts'
import { drillRoute } from './drill-route.ts'
import { answerEarly, cutStuck } from './early-answers.ts'
import { EventLoop } from './event-loop.ts'
import { eventRoutes } from './event-routes.ts'
import { experimentRoutes } from './experiment-routes.ts'
import { Forwarder, forwardLive, mountParts } from './forward.ts'
import { HotFront, type HotOptions } from './hot/front.ts'
import { inferenceRoutes } from './inference-routes.ts'
import { givingBack, type IngestDeps, ingestRoutes } from './ingest-routes.ts'
import { maintenanceRoutes } from './maintenance-routes.ts'
import { modelIntake, modelRoutes } from './model-routes.ts'
import { oneProcessRoutes } from './one-process-routes.ts'
import { opsRoutes, type ProbeDeps, probeRoutes } from './ops-routes.ts'
import { pageRoutes } from './page-routes.ts'
import { isFailure, problemOf, problemOfError, rawProblem, sendProblem, tooBusy } from './problems.ts'
import { prometheusRoutes } from './prometheus/routes.ts'
import { rateStore } from './rate-store.ts'
import { seriesRoutes } from './series-routes.ts'
import { ServedModels } from './served-models.ts'
import { takeBytes } from './take-bodies.ts'
import { windowRoutes } from './window-routes.ts'

/** Largest JSON body of a query, bytes. */
const QUERY_BODY_BYTES_MAX = 64 * 1024
/** Largest body of change events, bytes. */
const CHANGES_BODY_BYTES_MAX = 1024 * 1024
/** A series key stands in a path: longer ones are refused before they are matched. Characters. */
const PATH_PARAMETER_CHARS_MAX = 8192
/** Time to send a whole request, ms; slower senders are cut. */
const REQUEST_MS_MAX = 60_000
/** How long running requests may take when the service stops, ms. */
const STOP_MS_MAX = 10_000

/**
 * The HTTP service: ingest, queries, events, the built-in page, operations. Listens to nothing yet; the caller
 * checks the address with `assertBindable` and calls `listen`.
 */
export async function buildServer(deps: ServeDeps, options: ServeOptions): Promise<FastifyInstance> {
  const settings = settingsOf(options)
  const app = newServer(settings)
  app.setValidatorCompiler(validatorCompiler)
  // Answers are made by our own code and checked against their schemas by tests, not on every request.
  app.setSerializerCompiler(() => data => JSON.stringify(data))
  answerErrors(app, settings)
  recordRequests(app, deps)
  answerEarly(app)
  cutStuck(app, settings.answerStuckMsMax)
  stopGently(app)
  const loop = settings.eventLoopDelayMsMax > 0 ? new EventLoop(settings.eventLoopDelayMsMax) : undefined
  await protect(app, settings, { rates: deps.rates, loop })
  const keyring = new Keyring(settings.keys)
  authenticate(app, keyring)
  const forwarder = deps.holders && new Forwarder(deps.holders)
  if (forwarder) forwardLive(app, forwarder)
  if (settings.parts) mountParts(app, settings.parts)
  await describeRoutes(app, settings.version)
  const memory = new BodyMemory()
  const room = new BodyRoom(settings.bodiesBytesMax)
  const intake = givingBack(deps, memory)
  await app.register(async hot => {
    takeBytes(hot, { bytesMax: settings.bodyBytesMax, room, memory })
    ingestRoutes(hot, intake, settings)
  })
  // Rates are counted by the router.
  if (settings.requestsPerMinuteMax === undefined)
    readAhead(app, settings, deps, intake, keyring, { memory, room, loop })
  await app.register(async scope => {
    takeBytes(scope, { bytesMax: Math.min(CHANGES_BODY_BYTES_MAX, settings.bodyBytesMax), room })
    changeIntake(scope, deps)
  })
  await app.register(async scope => {
    answerWithTags(scope)
    disruptionRoutes(scope, deps, settings, forwarder)
    drillRoute(scope, deps)
    seriesRoutes(scope, deps)
    windowRoutes(scope, deps)
    changeQueries(scope, deps)
    maintenanceRoutes(scope, deps)
    experimentRoutes(scope, deps)
    eventRoutes(scope, deps, settings)
    if (deps.models) modelRoutes(scope, deps, deps.models)
  })
  if (deps.holders) oneProcessRoutes(app, deps)
  await modelScopes(app, deps, settings, room)
  await app.register(async scope => prometheusRoutes(scope, deps, settings))
  opsRoutes(app, deps, settings)
  await docRoutes(app, settings.version)
  await app.register(pageRoutes)
  await app.ready()
  return app
}

/** Plain requests to the ingest routes are read before they reach the router. */
function readAhead(
  app: FastifyInstance,
  settings: Settings,
  { telemetry }: Pick<ServeDeps, 'telemetry'>,
  deps: IngestDeps,
  keyring: Keyring,
  { loop, ...bodies }: Pick<HotOptions, 'memory' | 'room'> & { readonly loop: EventLoop | undefined },
): void {
  const { logger, bodyBytesMax, retryAfterSeconds } = settings
  const front = new HotFront(app.server, {
    deps,
    telemetry,
    keyring,
    ...bodies,
    logger,
    bodyBytesMax,
    retryAfterSeconds,
    isPressed: () => loop?.isStuck === true,
  })
  app.addHook('preClose', done => {
    front.stop(STOP_MS_MAX)
    done()
  })
}

/** The server of a process that is no gateway: probes, metrics, and the parts that it holds. */
export async function buildProbeServer(deps: ProbeDeps, options: ServeOptions): Promise<FastifyInstance> {
  const settings = settingsOf(options)
  const app = newServer(settings)
  answerErrors(app, settings)
  recordRequests(app, deps)
  answerEarly(app)
  cutStuck(app, settings.answerStuckMsMax)
  stopGently(app)
  // Being busy is what such a process is for, and nobody is better served elsewhere.
  await protect(app, settings)
  authenticate(app, new Keyring(settings.keys))
  if (settings.parts) mountParts(app, settings.parts)
  probeRoutes(app, deps, settings)
  await app.ready()
  return app
}

async function modelScopes(
  app: FastifyInstance,
  deps: ServeDeps,
  settings: Settings,
  room: BodyRoom,
): Promise<void> {
  const { models, openModel } = deps
  if (!models) return
  await app.register(async scope => modelIntake(scope, models))
  if (!openModel) return
  const served = new ServedModels(models, openModel)
  app.addHook('onClose', () => served.close())
  await app.register(async scope => {
    takeBytes(scope, { bytesMax: settings.bodyBytesMax, room })
    inferenceRoutes(scope, deps, served, settings)
  })
}

function newServer(settings: Settings): FastifyInstance {
  const clientErrorHandler: FastifyServerOptions['clientErrorHandler'] = (error, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return
    const [status, detail] =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'the request headers are larger than 16 KiB']
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? [408, 'the request took too long to arrive']
          : [400, 'this is not an HTTP/1.1 request that can be read']
    socket.end(rawProblem(status as number, detail as string))
  }
  const logger = settings.logger
  return fastify({
    ...(logger === undefined ? {} : { loggerInstance: logger as unknown as FastifyBaseLogger }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: QUERY_BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    // A stop lets running requests end: what was sent is answered, and only then is the connection closed.
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARS_MAX },
    clientErrorHandler,
    frameworkErrors: (error, request, reply) => {
      sendProblem(request, reply, problemOfError(error, request), settings.retryAfterSeconds)
    },
  }) as unknown as FastifyInstance
}

function answerErrors(app: FastifyInstance, settings: Settings): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOfError(error, request)
    if (isFailure(problem)) request.log.error({ err: error, requestId: request.id }, 'request failed')
    return sendProblem(request, reply, problem, settings.retryAfterSeconds)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0].slice(0, 300)
    const problem = problemOf('FS_NOT_FOUND', `there is no ${request.method} ${path}`, path)
    return sendProblem(request, reply, problem, settings.retryAfterSeconds)
  })
}

/** One log line and one observation a request; headers, which hold keys, are never looked at. */
function recordRequests(app: FastifyInstance, deps: Pick<ServeDeps, 'telemetry'>): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { url, config } = request.routeOptions
    const route = url ?? 'unmatched'
    const seconds = reply.elapsedTime / 1000
    deps.telemetry.observe('foreshock_http_seconds', seconds, { route, status: String(reply.statusCode) })
    const fields = { method: request.method, route, status: reply.statusCode, ms: reply.elapsedTime }
    if (config.quiet && reply.statusCode < 400) request.log.debug(fields, 'request')
    else request.log.info(fields, 'request')
    done()
  })
}

/** Answers what is running, then closes; whoever takes longer than `STOP_MS_MAX` is cut. */
function stopGently(app: FastifyInstance): void {
  let stopping = false
  app.addHook('preClose', done => {
    stopping = true
    setTimeout(() => app.server.closeAllConnections(), STOP_MS_MAX).unref()
    done()
  })
  app.addHook('onSend', async (_request, reply, payload) => {
    // Otherwise the connection would be kept open for a next request, and the stop would wait for it.
    if (stopping) reply.header('connection', 'close')
    return payload
  })
}

async function protect(
  app: FastifyInstance,
  settings: Settings,
  { rates, loop }: { readonly rates?: RateCounter | undefined; readonly loop?: EventLoop | undefined } = {},
): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        // Charts and the API documentation set element styles from script.
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        fontSrc: ["'self'", 'data:'],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    // Said by whoever terminates TLS; over plain HTTP it means nothing.
    strictTransportSecurity: false,
    // Browsers ignore it, and warn, on plain HTTP addresses other than localhost.
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
  })
  if (loop) {
    app.addHook('onClose', async () => loop.stop())
    app.addHook('onRequest', async ({ routeOptions: { url } }) => {
      // A machine that restarts what is merely busy makes it worse.
      if (loop.isStuck && url !== '/livez' && url !== '/metrics') throw tooBusy()
    })
  }
  if (settings.requestsPerMinuteMax !== undefined) {
    await app.register(rateLimit, {
      max: settings.requestsPerMinuteMax,
      timeWindow: 60_000,
      ...(rates ? { store: rateStore(rates) } : {}),
      allowList: request => request.url === '/livez' || request.url === '/readyz',
      errorResponseBuilder: (_request, { after, ttl: retryAfterMs }) =>
        new ForeshockError('FS_OVERLOADED', `too many requests; come back in ${after}`, { retryAfterMs }),
    })
  }
}

/** Before bodies are read, so that nobody without a key can make the service read one. */
function authenticate(app: FastifyInstance, keyring: Keyring): void {
  app.decorateRequest('principal', null)
  app.addHook('onRequest', async request => {
    const { scope } = request.routeOptions.config
    if (scope === undefined) return
    // Without keys the only guard is that loopback is this machine; a name of another site that resolves to
    // loopback (DNS rebinding) would let that site's pages in.
    if (keyring.open && request.hostname !== '' && !isLoopback(request.hostname))
      throw new ForeshockError(
        'FS_FORBIDDEN',
        'without API keys only localhost is answered; configure auth.keys to be reached by another name',
      )
    const principal = keyring.identify(request.headers)
    if (principal === undefined)
      throw new ForeshockError('FS_UNAUTHORIZED', 'this needs an API key that is known here')
    if (!principal.scopes.has(scope))
      throw new ForeshockError('FS_FORBIDDEN', `this needs a key with the scope ${scope}`)
    request.principal = principal
  })
}

/** Weak ETags on answers to GET; a client that has the same already gets 304 without a body. */
function answerWithTags(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string') return payload
    const tag = `W/"${createHash('sha1').update(payload).digest('base64url')}"`
    reply.header('etag', tag).header('cache-control', 'private, no-cache')
    const known = request.headers['if-none-match']?.split(',').map(one => one.trim())
    if (!known?.includes(tag) && !known?.includes('*')) return payload
    reply.code(304).removeHeader('content-length')
    return null
  })
}
