// Shows that the official OpenTelemetry gRPC exporter writes to the service, that keys are asked for there too, and that
// bytes which are no OTLP, or far too many, are refused with the codes that senders understand.
import { createHash } from 'node:crypto'
import { credentials, Metadata, makeGenericClientConstructor, type ServiceError, status } from '@grpc/grpc-js'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/lab/free-port.ts'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

const KEY = 'a-long-and-random-key-for-this-test-only'
const PATH = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'

/** One raw call; the code it ended with and the answer's bytes. */
function call(address: string, body: Buffer, metadata: Metadata): Promise<{ code: status; bytes?: Buffer }> {
  const Client = makeGenericClientConstructor({}, 'raw')
  const client = new Client(address, credentials.createInsecure())
  const same = (bytes: Buffer) => bytes
  return new Promise(done => {
    client.makeUnaryRequest(
      PATH,
      same,
      same,
      body,
      metadata,
      (error: ServiceError | null, bytes?: Buffer) => {
        client.close()
        done(error ? { code: error.code } : { code: status.OK, bytes: bytes as Buffer })
      },
    )
  })
}

describe('OTLP over gRPC', () => {
  let service: RunningService
  let address: string
  const known = new Metadata()
  known.set('authorization', `Bearer ${KEY}`)
  beforeAll(async () => {
    const grpcPort = await freePort()
    address = `127.0.0.1:${grpcPort}`
    const hash = `sha256:${createHash('sha256').update(KEY).digest('hex')}`
    service = await startForeshock({
      server: { grpcPort, maxBodyBytes: '1 MiB' },
      auth: { keys: [{ name: 'test', hash, scopes: ['ingest', 'read'] }] },
      features: { step: '1s' },
      log: { level: 'warn' },
    })
  })
  afterAll(async () => {
    expect(await service.stop()).toBe(0)
    remove(service.folder)
  })

  it('takes what the SDK exporter sends', async () => {
    const provider = new MeterProvider({
      resource: resourceFromAttributes({ 'service.name': 'basket' }),
      readers: [
        new PeriodicExportingMetricReader({
          exporter: new OTLPMetricExporter({ url: `http://${address}`, metadata: known }),
          exportIntervalMillis: 300,
          exportTimeoutMillis: 250,
        }),
      ],
    })
    const requests = provider.getMeter('test').createCounter('http.server.requests')
    const timer = setInterval(() => requests.add(1), 50)
    try {
      await until('the counter is a rate', async () => {
        const { items } = await getJson<{ items: { metric: string }[] }>(
          `${service.url}/api/series?entity=basket`,
          { headers: { authorization: `Bearer ${KEY}` } },
        )
        return items.some(one => one.metric === 'http_server_requests:rate')
      })
    } finally {
      clearInterval(timer)
      await provider.shutdown()
    }
  })

  it('answers an empty request, and refuses unknown keys, nonsense and what is too large', async () => {
    expect(await call(address, Buffer.alloc(0), known)).toEqual({ code: status.OK, bytes: Buffer.alloc(0) })
    expect(await call(address, Buffer.alloc(0), new Metadata())).toEqual({ code: status.UNAUTHENTICATED })
    const nonsense = Buffer.from('0affffff7f00', 'hex')
    expect(await call(address, nonsense, known)).toEqual({ code: status.INVALID_ARGUMENT })
    expect(await call(address, Buffer.alloc(3 << 20), known)).toEqual({ code: status.RESOURCE_EXHAUSTED })
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200)
  })
})
