// Shows that the service-graph metrics of tracing systems and the labels of service meshes are enough to know who
// calls whom: edges come from live series with when they were last seen, go when the calls do and come back with
// them; their series are evidence about the callee. Names and units go through the real naming of the intake.
import { expect, it } from 'vitest'
import { F, placeOf } from '../../src/disruptions/families.ts'
import { metaOf } from '../../src/ingest/naming.ts'
import { INTAKE_DEFAULTS } from '../../src/ingest/options.ts'
import { Bench } from './bench.ts'

const START_MS = 1_700_000_000_000
const CALLS = ['front>cart', 'front>pay', 'pay>bank']

const meta = (metric: string, unit: string, labels: Record<string, string>) =>
  metaOf('default', metric, labels, unit, INTAKE_DEFAULTS)

/** What a service-graph connector exports of one call, after the intake made rates and quantiles of it. */
const METRICS: readonly (readonly [metric: string, unit: string, calm: number, bad: number])[] = [
  ['traces_service_graph_request_total:rate', '1/s', 50, 50],
  ['traces_service_graph_request_failed_total:rate', '1/s', 0.01, 9],
  ['traces_service_graph_request_server_seconds:p99', 's', 0.05, 0.6],
  ['traces_service_graph_request_client_seconds:p99', 's', 0.06, 0.65],
]

class Traced {
  readonly bench = new Bench()
  nowMs = START_MS
  #window = 0

  run(windows: number, calls: readonly string[], ...bad: readonly string[]): void {
    for (let i = 0; i < windows; i++) {
      this.nowMs += this.bench.options.stepMs
      const ripple = 1 + 0.03 * Math.sin(this.#window++ * 1.7)
      const values = new Map<number, number>()
      for (const call of CALLS) {
        const [client, server] = call.split('>')
        for (const [metric, unit, calm, worse] of METRICS) {
          const row = this.bench.add(meta(metric, unit, { client, server }))
          if (calls.includes(call)) values.set(row, ripple * (bad.includes(call) ? worse : calm))
        }
      }
      this.bench.window(this.nowMs, values)
    }
  }

  edges(): string[] {
    return this.bench.stage.edges().map(({ source, target }) => `${source}>${target}`)
  }
}

it('a failing callee is the first suspect, from service-graph metrics alone', () => {
  const traced = new Traced()
  traced.run(80, CALLS)
  expect(traced.edges()).toEqual(['front>cart', 'front>pay', 'pay>bank'])
  traced.run(20, CALLS, 'front>pay', 'pay>bank')
  const opened = traced.bench.events.filter(event => event.type === 'opened')
  expect(opened.length).toBe(1)
  const last = traced.bench.events.at(-1)?.disruption
  expect(last?.suspects[0].entity).toBe('bank')
  expect([...(last?.entities ?? [])]).toEqual(['bank', 'pay'])
  expect(new Set(last?.evidence.map(one => one.entity))).toEqual(new Set(['bank', 'pay']))
})

it('calls that are no longer made are forgotten after an hour of windows, and learned again', () => {
  const traced = new Traced()
  traced.run(20, CALLS)
  traced.run(300, ['front>cart', 'front>pay'])
  expect(traced.edges()).toEqual(CALLS.toSorted())
  traced.run(120, ['front>cart', 'front>pay'])
  expect(traced.edges()).toEqual(['front>cart', 'front>pay'])
  const seen = traced.bench.stage.edges().map(edge => edge.lastSeenMs)
  expect(seen).toEqual([traced.nowMs, traced.nowMs])
  const saved = structuredClone(traced.bench.stage.snapshot())
  traced.bench.stage = traced.bench.fresh()
  traced.bench.stage.restore(saved)
  traced.run(2, CALLS)
  expect(traced.edges()).toEqual(CALLS.toSorted())
})

it('given edges stay, whoever calls', () => {
  const traced = new Traced()
  traced.bench.stage.addEdges([{ source: 'pay', target: 'bank' }], 0)
  traced.run(20, CALLS)
  traced.run(420, ['front>cart', 'front>pay'])
  expect(traced.edges()).toEqual(CALLS.toSorted())
})

it('reads both ends of a call from meshes and peers, and nobody from placeholders', () => {
  const place = (metric: string, unit: string, labels: Record<string, string>) =>
    placeOf(meta(metric, unit, labels), () => true)
  const istio = { source_workload: 'web', destination_workload: 'api' }
  expect(
    place('istio_request_duration_milliseconds:p99', 'ms', { ...istio, reporter: 'source' }),
  ).toMatchObject({
    caller: 'web',
    entity: 'api',
    family: F.edgeSource,
  })
  expect(
    place('istio_request_duration_milliseconds:p99', 'ms', { ...istio, reporter: 'destination' }),
  ).toMatchObject({ caller: 'web', entity: 'api', family: F.edgeTarget })
  const peer = { service: 'web', peer_service: 'api' }
  expect(place('rpc_client_duration_seconds:p99', 's', peer)).toMatchObject({
    caller: 'web',
    entity: 'api',
    family: F.edgeSource,
  })
  for (const nobody of ['unknown', '<unspecified>']) {
    const labels = {
      service: 'web',
      source_workload: nobody,
      destination_workload: 'api',
      peer_service: nobody,
    }
    expect(place('requests_seconds:p99', 's', labels)).toMatchObject({ caller: undefined, entity: 'web' })
  }
  expect(
    place('traces_service_graph_request_failed_total:rate', '1/s', { client: 'a', server: 'b' }),
  ).toMatchObject({
    caller: 'a',
    entity: 'b',
    family: F.err,
  })
})
