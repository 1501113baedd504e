// The Open Inference Protocol over REST, to the letter of its specification and of Triton's two extensions: metadata,
// readiness, inference in JSON and bytes, the repository, errors. Models are real ONNX in threads of their own.
import { deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/core/identity.ts'
import { ServedModels } from '../../src/serve/served-models.ts'
import { type ModelWorld, sumWorld } from './model-world.ts'
import { listen, type Running, type World, world } from './world.ts'

const KEYS = [
  { id: 'reader', hash: `sha256:${sha256('r')}`, scopes: ['read'] as const },
  { id: 'scientist', hash: `sha256:${sha256('m')}`, scopes: ['read', 'models'] as const },
]
let here: World
let models: ModelWorld
let server: Running
beforeAll(async () => {
  models = await sumWorld()
  here = world()
  server = await listen({ ...here.deps, models: models.desk, openModel: models.open }, { keys: KEYS })
})
afterAll(async () => {
  await server.close()
  await models.close()
})

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown; headers: Headers; bytes: Buffer }> {
  const sent = body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body)
  const answer = await fetch(server.url + path, {
    method,
    headers: { authorization: 'Bearer m', ...headers },
    ...(body === undefined ? {} : { body: sent }),
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const isJson = answer.headers.get('content-type')?.startsWith('application/json')
  const json: unknown = isJson ? JSON.parse(bytes.toString()) : undefined
  return { status: answer.status, body: json, headers: answer.headers, bytes }
}
const input = (more: object) => ({ inputs: [{ name: 'x', shape: [2, 3], datatype: 'FP32', ...more }] })
const ROWS = [1, 2, 3, 0, -1, 0.5]
const infer = (body: unknown, headers = {}, path = '/v2/models/sum') =>
  ask('POST', `${path}/infer`, body, headers)

describe('metadata and health', { timeout: 60_000 }, () => {
  it('says what it is, that it lives and is ready', async () => {
    expect((await ask('GET', '/v2')).body).toEqual({
      name: 'foreshock',
      version: expect.any(String),
      extensions: ['binary_tensor_data', 'model_repository'],
    })
    expect(await ask('GET', '/v2/health/live', undefined, { authorization: '' })).toMatchObject({
      status: 200,
      body: { live: true },
    })
    expect((await ask('GET', '/v2/health/ready')).status).toBe(200)
    here.ready = false
    expect((await ask('GET', '/v2/health/ready')).status).toBe(503)
    here.ready = true
  })

  it('describes a model and its versions', async () => {
    const whole = {
      name: 'sum',
      versions: ['2', '1'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
    }
    expect((await ask('GET', '/v2/models/sum')).body).toEqual(whole)
    expect((await ask('GET', '/v2/models/sum/versions/3')).body).toEqual(whole)
    expect(await ask('GET', '/v2/models/none')).toMatchObject({ status: 404, body: { error: /none/ } })
  })

  it('says which models answer', async () => {
    const ready = async (path: string) => {
      const { status, body } = await ask('GET', `/v2/models/${path}/ready`)
      return [status, (body as { ready?: boolean }).ready]
    }
    expect(await ready('sum')).toEqual([200, true])
    expect(await ready('sum/versions/2')).toEqual([200, true])
    expect(await ready('sum/versions/3')).toEqual([400, false])
    expect(await ready('other')).toEqual([400, false])
    expect((await ready('sum/versions/9'))[0]).toBe(404)
    expect((await ready('sum/versions/latest'))[0]).toBe(404)
  })
})

describe('inference', { timeout: 60_000 }, () => {
  it('answers JSON with JSON, flat or nested, with the id it was given', async () => {
    const answer = {
      model_name: 'sum',
      model_version: '1',
      id: '42',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 1], data: [6, -0.5] }],
    }
    expect((await infer({ id: '42', ...input({ data: ROWS }) })).body).toEqual(answer)
    const nested = [ROWS.slice(0, 3), ROWS.slice(3)]
    const asked = { id: '42', ...input({ data: nested }), outputs: [{ name: 'y' }] }
    expect((await infer(asked, { authorization: 'Bearer r' })).body).toEqual(answer)
    const version2 = await infer(input({ data: ROWS }), {}, '/v2/models/sum/versions/2')
    expect(version2.body).toMatchObject({ model_version: '2', outputs: [{ data: [12, -1] }] })
    expect(version2.body).not.toHaveProperty('id')
  })

  it('takes bytes and answers with bytes, where it is asked to', async () => {
    const floats = Buffer.from(Float32Array.from(ROWS).buffer)
    const body = (more: object) => {
      const header = Buffer.from(
        JSON.stringify({ ...input({ parameters: { binary_data_size: 24 } }), ...more }),
      )
      const headers = { 'inference-header-content-length': String(header.length) }
      return [Buffer.concat([header, floats]), headers] as const
    }
    const plain = await infer(...body({}))
    expect(plain.body).toMatchObject({ outputs: [{ data: [6, -0.5] }] })
    expect(plain.headers.get('inference-header-content-length')).toBeNull()
    for (const more of [
      { parameters: { binary_data_output: true } },
      { outputs: [{ name: 'y', parameters: { binary_data: true } }] },
    ]) {
      const { headers, bytes } = await infer(...body(more))
      expect(headers.get('content-type')).toBe('application/octet-stream')
      const length = Number(headers.get('inference-header-content-length'))
      expect(JSON.parse(bytes.subarray(0, length).toString()).outputs).toEqual([
        { name: 'y', datatype: 'FP32', shape: [2, 1], parameters: { binary_data_size: 8 } },
      ])
      expect([bytes.readFloatLE(length), bytes.readFloatLE(length + 4)]).toEqual([6, -0.5])
      expect(bytes.length).toBe(length + 8)
    }
    const overridden = {
      parameters: { binary_data_output: true },
      outputs: [{ name: 'y', parameters: { binary_data: false } }],
    }
    expect((await infer(...body(overridden))).body).toMatchObject({ outputs: [{ data: [6, -0.5] }] })
    const raw = await infer(floats, { 'inference-header-content-length': '0' })
    expect(raw.bytes.subarray(-8)).toEqual(Buffer.from(Float32Array.of(6, -0.5).buffer))
    const [bytes, headers] = body({})
    for (const [encoding, packed] of [
      ['gzip', gzipSync(bytes)],
      ['deflate', deflateSync(bytes)],
    ] as const) {
      const packedAnswer = await infer(packed, { ...headers, 'content-encoding': encoding })
      expect(packedAnswer.body).toMatchObject({ outputs: [{ data: [6, -0.5] }] })
    }
  })

  it('joins what is asked at once, and gives everybody their own', async () => {
    const one = (i: number) => ({
      inputs: [{ name: 'x', shape: [1, 3], datatype: 'INT16', data: [i, i, i] }],
    })
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) => infer(one(i))))
    for (const [i, { body }] of all.entries()) expect(body).toMatchObject({ outputs: [{ data: [3 * i] }] })
  })

  it.each([
    ['no JSON', Buffer.from('{'), {}, 400, /no JSON/],
    ['nothing', undefined, {}, 400, /no JSON/],
    ['no inputs', { inputs: [] }, {}, 400, /inputs/],
    [
      'another input',
      { inputs: [{ name: 'z', shape: [1, 3], datatype: 'FP32', data: [1, 2, 3] }] },
      {},
      400,
      /no input z/,
    ],
    ['another output', { ...input({ data: ROWS }), outputs: [{ name: 'z' }] }, {}, 400, /no output z/],
    ['a wrong shape', input({ shape: [3, 2], data: ROWS }), {}, 400, /not \[rows, 3\]/],
    ['a flat shape', input({ shape: [6], data: ROWS }), {}, 400, /not \[rows, 3\]/],
    ['too many rows', input({ shape: [20_000, 3], data: ROWS }), {}, 400, /at most 16384/],
    ['too few numbers', input({ data: [1, 2] }), {}, 400, /6 elements wanted/],
    ['text', input({ datatype: 'BYTES', data: ROWS }), {}, 400, /datatype/],
    ['what loses digits', input({ datatype: 'FP64', data: [0.1, 1, 1, 1, 1, 1] }), {}, 400, /without loss/],
    [
      'bytes that are not there',
      input({ parameters: { binary_data_size: 24 } }),
      {},
      400,
      /more than the body/,
    ],
    [
      'a header too long',
      input({ data: ROWS }),
      { 'inference-header-content-length': '9999' },
      400,
      /of a body of/,
    ],
    [
      'a header of text',
      input({ data: ROWS }),
      { 'inference-header-content-length': 'x' },
      400,
      /of a body of/,
    ],
    [
      'raw bytes of half a row',
      Buffer.alloc(16),
      { 'inference-header-content-length': '0' },
      400,
      /no rows of 3/,
    ],
    ['no gzip', Buffer.from('x'), { 'content-encoding': 'gzip' }, 400, /no gzip/],
    ['an encoding', Buffer.from('x'), { 'content-encoding': 'br' }, 415, /br is not spoken/],
    ['a bomb', gzipSync(Buffer.alloc(40_000_000)), { 'content-encoding': 'gzip' }, 413, /inflates/],
    ['no key', input({ data: ROWS }), { authorization: '' }, 401, /API key/],
  ] as const)('refuses %s with an error that says so', async (_name, body, headers, status, reason) => {
    const answer = await infer(body, headers)
    expect(answer.status).toBe(status)
    expect(answer.body).toEqual({ error: expect.stringMatching(reason) })
  })

  it('refuses versions that are not loaded, and what is no route', async () => {
    const asked = input({ data: ROWS })
    expect(await infer(asked, {}, '/v2/models/sum/versions/3')).toMatchObject({ status: 409 })
    expect((await infer(asked, {}, '/v2/models/none')).status).toBe(404)
    expect((await ask('GET', '/v2/none')).body).toEqual({ error: expect.stringContaining('there is no GET') })
  })
})

describe('the repository', { timeout: 60_000 }, () => {
  const states = async (body?: unknown) => {
    const { body: items } = await ask('POST', '/v2/repository/index', body)
    return (items as { name: string; version: string; state: string }[]).map(
      ({ name, version, state }) => `${name} ${version} ${state}`,
    )
  }

  it('lists, loads and unloads, and leaves what scores alone', async () => {
    const orders = models.stage.envelopes.length
    expect(await states()).toEqual(['other 1 UNAVAILABLE', 'sum 3 UNAVAILABLE', 'sum 2 READY', 'sum 1 READY'])
    const load = (path: string, body?: unknown, headers = {}) =>
      ask('POST', `/v2/repository/models/${path}`, body, headers)
    expect((await load('sum/load', { parameters: { version: '3' } })).status).toBe(200)
    expect((await load('other/load')).status).toBe(200)
    expect(await states({ ready: true })).toEqual([
      'other 1 READY',
      'sum 3 READY',
      'sum 2 READY',
      'sum 1 READY',
    ])
    const version3 = await infer(input({ data: ROWS }), {}, '/v2/models/sum/versions/3')
    expect(version3.body).toMatchObject({ outputs: [{ data: [18, -1.5] }] })
    expect((await infer(input({ data: ROWS }), {}, '/v2/models/other')).status).toBe(200)
    expect((await load('sum/unload', {})).status).toBe(200)
    expect(await states({ ready: true })).toEqual(['other 1 READY'])
    expect((await infer(input({ data: ROWS }))).status).toBe(409)
    expect((await load('sum/load')).status).toBe(200)
    expect((await infer(input({ data: ROWS }))).body).toMatchObject({ model_version: '1' })
    expect(models.stage.envelopes.length).toBe(orders)
    expect(here.audits.map(one => one.action)).toEqual(
      ['load', 'load', 'unload', 'load'].map(what => `model.${what}`),
    )
    for (const [path, body, headers, status] of [
      ['none/load', undefined, {}, 404],
      ['sum/load', { parameters: { config: '{}' } }, {}, 400],
      ['sum/load', { parameters: { version: '77' } }, {}, 404],
      ['sum/load', undefined, { authorization: 'Bearer r' }, 403],
      ['sum/unload', Buffer.from('['), {}, 400],
    ] as const) {
      const answer = await load(path, body, headers)
      expect(answer).toMatchObject({ status, body: { error: expect.any(String) } })
    }
  })

  it('keeps a bounded number open and reopens what it closed', async () => {
    let open = 0
    let opened = 0
    const served = new ServedModels(
      models.desk,
      async stored => {
        const model = await models.open(stored)
        open++
        opened++
        return { run: model.run, close: () => model.close().then(() => void open--) }
      },
      2,
    )
    const [three, two, one] = models.registry.versions('sum')
    await served.load(three)
    for (const stored of [one, two, three, two, three, one]) {
      const answer = await served.run(stored, 'ann', Float32Array.from(ROWS), 2)
      expect([...answer]).toEqual([6 * stored.version, -0.5 * stored.version])
      expect(await served.isReady(stored)).toBe(true)
    }
    expect(opened).toBe(5)
    await served.close()
    expect(open).toBe(0)
  })

  it('closes no model that was just asked', async () => {
    const served = new ServedModels(
      models.desk,
      async stored => {
        const model = await models.open(stored)
        let isClosed = false
        return {
          run: async (...asked) => {
            if (isClosed) throw new Error('it was closed')
            return model.run(...asked)
          },
          close: async () => {
            isClosed = true
            await model.close()
          },
        }
      },
      1,
    )
    const [three, two] = models.registry.versions('sum')
    await served.load(two)
    await served.load(three)
    const [first, second] = [three, two].map(one => served.run(one, 'ann', Float32Array.from(ROWS), 2))
    await expect(second).rejects.toMatchObject({ code: 'FS_OVERLOADED' })
    expect([...(await first)]).toEqual([18, -1.5])
    await served.close()
  })
})
