// Shows that a Prometheus which cannot answer a question in time is asked for less of it, and not for the same again.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { PrometheusHistory } from '../../src/ingest/history/prometheus-history.ts'

const HOUR_S = 3600

it('asks for half as much where a query timed out', async () => {
  const asked: number[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const form = new URLSearchParams(body)
    const seconds = Math.ceil(Number(form.get('end')) - Number(form.get('start')))
    asked.push(seconds)
    const error = 'query timed out in expression evaluation'
    response.statusCode = seconds > HOUR_S / 3 ? 503 : 200
    response.end(
      JSON.stringify(
        response.statusCode === 503
          ? { status: 'error', errorType: 'timeout', error }
          : { status: 'success', data: { resultType: 'matrix', result: [] } },
      ),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const told: string[] = []
  const history = new PrometheusHistory({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    api: 'query-range',
    queries: ['up'],
    stepMs: 60_000,
    labels: {},
    headers: {},
    concurrency: 1,
    signal: new AbortController().signal,
    onRetry: why => told.push(why),
  })
  const ends: number[] = []
  for await (const { toMs } of history.parts(0, 1000 * HOUR_S)) ends.push(toMs / 1000)
  // And what was too much is not tried again.
  const quarter = HOUR_S / 4 - 60
  expect(asked).toEqual([HOUR_S - 60, HOUR_S / 2 - 60, quarter, quarter, quarter, quarter])
  expect(told).toEqual([
    expect.stringContaining('asking for half as much'),
    expect.stringContaining('asking for half as much'),
  ])
  expect(ends.at(-1)).toBe(HOUR_S)
  server.close()
})
