// Shows that the ingest routes speak their protocols to the letter: what each content type becomes, that bytes
// reach the pipeline as they were sent, and what senders are told when some, all or none was taken. Requests
// go over real sockets; the pipeline behind them is one that answers as each test says.
import { gzipSync } from 'node:zlib'
import protobuf from 'protobufjs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EMPTY_RECEIPT } from '../../src/core/envelope.ts'
import { json, listen, NOW_MS, type Running, type World, world } from './world.ts'

let here: World
let server: Running
beforeAll(async () => {
  here = world()
  server = await listen(here.deps, { bodyBytesMax: 100_000, retryAfterSeconds: 7 })
})
afterAll(() => server.close())
beforeEach(() => {
  here.envelopes.length = 0
  here.receipt = { ...EMPTY_RECEIPT, samples: 3 }
  here.overloaded = false
})

function post(path: string, body: Uint8Array | string, headers: Record<string, string>): Promise<Response> {
  return fetch(server.url + path, { method: 'POST', body, headers })
}

const V1 = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
const V2 = { ...V1, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }
const BYTES = Uint8Array.from({ length: 300 }, (_, i) => i % 256)
const PARTIAL = {
  ...EMPTY_RECEIPT,
  samples: 5,
  histograms: 2,
  exemplars: 1,
  rejected: 4,
  reasons: ['no name'],
}
const BROKEN = { ...EMPTY_RECEIPT, failure: { code: 'FS_INPUT_INVALID', detail: 'no snappy block' } } as const

describe('POST /api/v1/write', () => {
  it('takes 1.0 as bytes and answers 204 without the headers of 2.0', async () => {
    const answer = await post('/api/v1/write', BYTES, V1)
    expect(answer.status).toBe(204)
    expect(await answer.text()).toBe('')
    expect(answer.headers.has('x-prometheus-remote-write-samples-written')).toBe(false)
    expect(here.envelopes).toHaveLength(1)
    const { bytes, ...rest } = here.envelopes[0]
    expect(rest).toEqual({ kind: 'remote-write-1', encoding: 'snappy', arrivalMs: NOW_MS, tenant: 'default' })
    expect([...bytes]).toEqual([...BYTES])
  })

  it.each([
    ['application/x-protobuf;proto=prometheus.WriteRequest', 'remote-write-1'],
    ['Application/X-Protobuf; PROTO="prometheus.WriteRequest"', 'remote-write-1'],
    ['application/x-protobuf;proto=io.prometheus.write.v2.Request', 'remote-write-2'],
    ['application/x-protobuf; charset=utf-8; proto=io.prometheus.write.v2.Request', 'remote-write-2'],
  ])('reads %s as %s', async (type, kind) => {
    const answer = await post('/api/v1/write', BYTES, { ...V1, 'content-type': type })
    expect(answer.status).toBe(204)
    expect(here.envelopes[0].kind).toBe(kind)
  })

  it('answers 2.0 with what was written', async () => {
    here.receipt = { ...PARTIAL, rejected: 0, reasons: [] }
    const answer = await post('/api/v1/write', BYTES, V2)
    expect(answer.status).toBe(204)
    expect(answer.headers.get('x-prometheus-remote-write-samples-written')).toBe('5')
    expect(answer.headers.get('x-prometheus-remote-write-histograms-written')).toBe('2')
    expect(answer.headers.get('x-prometheus-remote-write-exemplars-written')).toBe('1')
  })

  it.each([V1, V2])('answers 400 with the reasons when some was refused', async headers => {
    here.receipt = PARTIAL
    const answer = await post('/api/v1/write', BYTES, headers)
    expect(answer.status).toBe(400)
    const written = answer.headers.get('x-prometheus-remote-write-samples-written')
    expect(written).toBe(headers === V2 ? '5' : null)
    const body = await json(answer)
    expect(body).toMatchObject({ code: 'FS_INPUT_INVALID', samples: 5, rejected: 4 })
    expect(body.detail).toContain('no name')
  })

  it('answers 400 with zeroes when the body cannot be read', async () => {
    here.receipt = BROKEN
    const answer = await post('/api/v1/write', BYTES, V2)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('x-prometheus-remote-write-samples-written')).toBe('0')
    expect((await json(answer)).detail).toBe('no snappy block')
  })

  it.each([
    [{ 'content-type': 'text/plain', 'content-encoding': 'snappy' }],
    [{ 'content-type': 'application/x-protobuf;proto=other.Message', 'content-encoding': 'snappy' }],
    [{ 'content-type': 'application/x-protobuf', 'content-encoding': 'zstd' }],
    [{ 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' }],
  ])('answers 415 to %o', async headers => {
    const answer = await post('/api/v1/write', BYTES, headers)
    expect(answer.status).toBe(415)
    expect((await json(answer)).code).toBe('FS_MEDIA_TYPE_UNSUPPORTED')
    expect(here.envelopes).toHaveLength(0)
  })

  it('answers 429 and how long to wait when overloaded', async () => {
    here.overloaded = true
    const answer = await post('/api/v1/write', BYTES, V1)
    expect(answer.status).toBe(429)
    expect(answer.headers.get('retry-after')).toBe('7')
    expect((await json(answer)).code).toBe('FS_OVERLOADED')
  })

  it('answers 413 to a body over the limit, whether its length is said or not', async () => {
    const big = new Uint8Array(100_001)
    const said = await post('/api/v1/write', big, V1)
    expect(said.status).toBe(413)
    expect((await json(said)).code).toBe('FS_INPUT_TOO_LARGE')
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(big.subarray(0, 60_000))
        controller.enqueue(big.subarray(0, 60_000))
        controller.close()
      },
    })
    const chunked = await fetch(`${server.url}/api/v1/write`, {
      method: 'POST',
      body: stream,
      headers: V1,
      duplex: 'half',
    } as RequestInit)
    expect(chunked.status).toBe(413)
    expect(here.envelopes).toHaveLength(0)
  })

  it('hands an empty body on, for the pipeline to judge', async () => {
    const answer = await fetch(`${server.url}/api/v1/write`, { method: 'POST', headers: V1 })
    expect(answer.status).toBe(204)
    expect(here.envelopes[0].bytes).toHaveLength(0)
  })
})

// The messages by their published field numbers, read back by an independent implementation.
const proto = protobuf.parse(`syntax = "proto3";
  message Partial { int64 rejected_data_points = 1; string error_message = 2; }
  message Response { Partial partial_success = 1; }
  message Status { int32 code = 1; string message = 2; }`).root
const Response_ = proto.lookupType('Response')
const Status = proto.lookupType('Status')
const PROTO = { 'content-type': 'application/x-protobuf' }
const JSON_TYPE = { 'content-type': 'application/json' }

describe('POST /v1/metrics', () => {
  it('takes protobuf and JSON, gzipped or not, undecoded', async () => {
    const body = gzipSync('{"resourceMetrics":[]}')
    expect((await post('/v1/metrics', BYTES, PROTO)).status).toBe(200)
    expect((await post('/v1/metrics', body, { ...JSON_TYPE, 'content-encoding': 'gzip' })).status).toBe(200)
    expect(here.envelopes.map(e => [e.kind, e.encoding])).toEqual([
      ['otlp-protobuf', 'identity'],
      ['otlp-json', 'gzip'],
    ])
    expect([...here.envelopes[1].bytes]).toEqual([...body])
  })

  it('answers full success with an empty message in the same encoding', async () => {
    const binary = await post('/v1/metrics', BYTES, PROTO)
    expect(binary.headers.get('content-type')).toBe('application/x-protobuf')
    expect((await binary.arrayBuffer()).byteLength).toBe(0)
    const text = await post('/v1/metrics', '{}', JSON_TYPE)
    expect(text.headers.get('content-type')).toContain('application/json')
    expect(await json(text)).toEqual({})
  })

  it('answers partial success in the same encoding', async () => {
    here.receipt = { ...PARTIAL, rejected: 300 }
    const binary = await post('/v1/metrics', BYTES, PROTO)
    expect(binary.status).toBe(200)
    const read = Response_.toObject(Response_.decode(new Uint8Array(await binary.arrayBuffer())), {
      longs: Number,
    })
    expect(read.partialSuccess.rejectedDataPoints).toBe(300)
    expect(read.partialSuccess.errorMessage).toContain('no name')
    const text = await json(await post('/v1/metrics', '{}', JSON_TYPE))
    expect(text.partialSuccess.rejectedDataPoints).toBe('300')
  })

  it('answers errors as google.rpc.Status in the same encoding', async () => {
    here.receipt = BROKEN
    const binary = await post('/v1/metrics', BYTES, PROTO)
    expect(binary.status).toBe(400)
    expect(binary.headers.get('content-type')).toBe('application/x-protobuf')
    const status = Status.decode(new Uint8Array(await binary.arrayBuffer())).toJSON()
    expect(status).toEqual({ code: 3, message: 'no snappy block' })
    const text = await post('/v1/metrics', '{}', JSON_TYPE)
    expect(await json(text)).toEqual({ code: 3, message: 'no snappy block' })
    here.overloaded = true
    const busy = await post('/v1/metrics', '{}', JSON_TYPE)
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '7'])
    expect((await json(busy)).code).toBe(8)
    const big = await post('/v1/metrics', new Uint8Array(200_000), PROTO)
    expect(big.status).toBe(413)
    expect(Status.decode(new Uint8Array(await big.arrayBuffer())).toJSON()).toMatchObject({ code: 3 })
  })

  it('answers 415 to other types and encodings', async () => {
    expect((await post('/v1/metrics', BYTES, { 'content-type': 'text/csv' })).status).toBe(415)
    expect((await post('/v1/metrics', BYTES, { ...PROTO, 'content-encoding': 'br' })).status).toBe(415)
  })
})

describe('POST /api/samples', () => {
  const LINE = '{"time":1,"metric":"m","labels":{},"value":1}\n'

  it('takes JSON lines under any of their names and says what was taken', async () => {
    here.receipt = PARTIAL
    for (const type of ['application/x-ndjson', 'application/jsonl', 'application/json']) {
      const answer = await post('/api/samples', LINE, { 'content-type': type })
      expect(answer.status).toBe(200)
      expect(await json(answer)).toMatchObject({ samples: 5, rejected: 4, reasons: ['no name'] })
    }
    expect(Buffer.from(here.envelopes[0].bytes).toString()).toBe(LINE)
  })

  it('answers 400 when nothing could be taken', async () => {
    here.receipt = { ...EMPTY_RECEIPT, rejected: 2, reasons: ['line 1: value is not a number'] }
    const answer = await post('/api/samples', LINE, { 'content-type': 'application/x-ndjson' })
    expect(answer.status).toBe(400)
    expect((await json(answer)).detail).toContain('line 1')
  })

  it('does not read what a form or a page of another site could send without asking', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      expect((await post('/api/samples', LINE, { 'content-type': type })).status).toBe(415)
    }
    expect(here.envelopes).toHaveLength(0)
  })
})
