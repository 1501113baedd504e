import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ForeshockError } from '../core/errors.ts'
import { parseJson } from '../core/json-depth.ts'
import type { StoredVersion } from '../core/model-standing.ts'
import type { ModelCard } from '../detectors/model-card.ts'
import type { ServeDeps, Settings } from './deps.ts'
import { bytesOf, encodingOf, invalid, notFound, ownerOf, sendJson } from './http.ts'
import { inferAnswer, inferRequestOf } from './inference-body.ts'
import type { ServedModels } from './served-models.ts'

const INFLATE = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const
/** Platform names of the protocol: who makes the format, then the format. */
const PLATFORMS: Readonly<Record<string, string>> = {
  onnx: 'onnx_onnxv1',
  'tfjs-layers': 'tensorflowjs_layers',
  'tfjs-graph': 'tensorflowjs_graph',
}

type Tensors = Pick<ModelCard, 'input' | 'output'>

/** What a card says of tensors; it was checked when the package was pushed. */
const tensorsOf = ({ card }: StoredVersion) => card as unknown as Tensors

/**
 * The Open Inference Protocol v2 over REST, as KServe specifies it, with Triton's extensions for binary tensors and the
 * model repository. Bodies come as bytes: to be called in a scope that reads them so.
 */
export function inferenceRoutes(
  app: FastifyInstance,
  deps: ServeDeps,
  served: ServedModels,
  settings: Settings,
): void {
  const open = { speaks: 'oip', quiet: true } as const
  const read = { ...open, scope: 'read' } as const
  const change = { speaks: 'oip', scope: 'models' } as const
  const says = (summary: string) => ({ tags: ['inference'], summary })

  app.get('/v2', { config: read, schema: says('What this server speaks') }, (_request, reply) =>
    sendJson(reply, {
      name: 'foreshock',
      version: settings.version,
      extensions: ['binary_tensor_data', 'model_repository'],
    }),
  )
  app.get('/v2/health/live', { config: open, schema: says('Whether it answers') }, (_request, reply) =>
    sendJson(reply, { live: true }),
  )
  app.get('/v2/health/ready', { config: open, schema: says('Whether it serves') }, (_request, reply) => {
    const { ready } = deps.ready()
    return sendJson(reply.code(ready ? 200 : 503), { live: ready, ready })
  })

  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get(path, { config: read, schema: says('Inputs and outputs of a model') }, (request, reply) => {
      const stored = storedOf(served, request)
      const { input, output } = tensorsOf(stored)
      const ready = served.index().filter(one => one.stored.model === stored.model && one.state === 'READY')
      return sendJson(reply, {
        name: stored.model,
        versions: ready.map(one => String(one.stored.version)),
        platform: PLATFORMS[String(stored.card.format ?? 'onnx')],
        inputs: [{ name: input.name, datatype: 'FP32', shape: [-1, input.width] }],
        outputs: [{ name: output.name, datatype: 'FP32', shape: [-1, output.width] }],
      })
    })
    app.get(
      `${path}/ready`,
      { config: read, schema: says('Whether a model answers') },
      async (request, reply) => {
        const stored = storedOf(served, request)
        const ready = await served.isReady(stored)
        return sendJson(reply.code(ready ? 200 : 400), { name: stored.model, ready })
      },
    )
    app.post(`${path}/infer`, { config: read, schema: says('Ask a model') }, (request, reply) =>
      infer(served, settings, request, reply),
    )
  }

  app.post(
    '/v2/repository/index',
    { config: { ...read, quiet: false }, schema: says('All models, and which are ready') },
    (request, reply) => {
      const isReadyOnly = jsonOf(request).ready === true
      const items = served.index().filter(({ state }) => !isReadyOnly || state === 'READY')
      return sendJson(
        reply,
        items.map(({ stored, state, reason }) => ({
          name: stored.model,
          version: String(stored.version),
          state,
          reason,
        })),
      )
    },
  )
  app.post(
    '/v2/repository/models/:model/load',
    { config: change, schema: says('Serve a model; parameters.version names one') },
    async (request, reply) => {
      const { id: who } = ownerOf(request)
      const { version } = parametersOf(request)
      const stored = served.version(modelOf(request), version === undefined ? undefined : numberOf(version))
      await served.load(stored)
      deps.audit(who, 'model.load', { model: stored.model, version: stored.version })
      return sendJson(reply, {})
    },
  )
  app.post(
    '/v2/repository/models/:model/unload',
    { config: change, schema: says('Serve a model no more; it goes on scoring') },
    async (request, reply) => {
      const { id: who } = ownerOf(request)
      const model = modelOf(request)
      jsonOf(request)
      await served.unload(model)
      deps.audit(who, 'model.unload', { model })
      return sendJson(reply, {})
    },
  )
}

async function infer(
  served: ServedModels,
  settings: Settings,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const stored = storedOf(served, request)
  const tensors = tensorsOf(stored)
  const body = await inflated(request, settings.bodyBytesMax)
  const header = request.headers['inference-header-content-length']
  const asked = inferRequestOf(tensors, body, header?.toString())
  const values = await served.run(stored, whoOf(request), asked.input, asked.rows, asked.timeoutMs)
  const answer = inferAnswer({ name: stored.model, version: stored.version, ...tensors }, asked, values)
  if (answer.headerLength === undefined) return reply.type('application/json').send(answer.body)
  return reply
    .header('inference-header-content-length', answer.headerLength)
    .type('application/octet-stream')
    .send(answer.body)
}

async function inflated(request: FastifyRequest, bytesMax: number): Promise<Uint8Array> {
  const bytes = bytesOf(request)
  const encoding = encodingOf(
    request.headers['content-encoding'],
    ['identity', 'gzip', 'deflate'],
    'identity',
  )
  if (encoding === 'identity') return bytes
  try {
    return await INFLATE[encoding](bytes, { maxOutputLength: bytesMax })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new ForeshockError('FS_INPUT_TOO_LARGE', `the body inflates to more than ${bytesMax} bytes`)
    throw invalid(`the body is no ${encoding}`)
  }
}

const modelOf = (request: FastifyRequest) => (request.params as { model: string }).model
const whoOf = (request: FastifyRequest) => request.principal?.id ?? 'anonymous'

function storedOf(served: ServedModels, request: FastifyRequest): StoredVersion {
  const { version } = request.params as { version?: string }
  return served.version(modelOf(request), version === undefined ? undefined : numberOf(version))
}

function numberOf(version: unknown): number {
  if (/^[1-9]\d{0,8}$/.test(String(version))) return Number(version)
  throw notFound(`version ${String(version).slice(0, 50)}: versions are whole numbers`)
}

/** An object, or nothing at all. */
function jsonOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const bytes = bytesOf(request)
  if (bytes.length === 0) return {}
  const json = parseJson(bytes)
  if (typeof json === 'string') throw invalid(`the body ${json}`)
  const { value } = json
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw invalid('the body is no JSON object')
}

function parametersOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const { parameters = {} } = jsonOf(request)
  if (typeof parameters !== 'object' || parameters === null) throw invalid('parameters: is no object')
  for (const name of Object.keys(parameters))
    if (name !== 'version') throw invalid(`parameters: ${name.slice(0, 50)} is not known here, only version`)
  return parameters as Record<string, unknown>
}
