// Shows that the Prometheus-compatible query API answers in Prometheus' own forms over a real socket: values of windows at
// a time and over a range, labels, disruptions while they last; that matchers mean what they mean there; and that PromQL
// beyond selectors, nonsense and too much are refused by name.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseQuery, parseSelector, QueryError } from '../../src/serve/prometheus/selector.ts'
import { addHistory, addSeries, disruption, NOW_MS, served, world } from './world.ts'

const here = world()
const row = addSeries(here, 'latency_seconds:p99', { service: 'checkout', zone: 'a' })
addSeries(here, 'latency_seconds:p99', { service: 'payments' })
addSeries(here, 'requests_total:rate', { service: 'shop' }, { tenant: 'acme', kind: 'traffic' })
addHistory(here, row, 0.46, 4, 12)
here.board.push(disruption('dis_one', { severity: 'major', score: 87 }))
const server = await served(here.deps, { eventLoopDelayMsMax: 0 })

interface Answer {
  status: 'success' | 'error'
  errorType?: string
  error?: string
  // biome-ignore lint/suspicious/noExplicitAny: answers of six routes
  data: any
}
async function ask(path: string, parameters: Record<string, string> = {}, form = false): Promise<Answer> {
  const body = new URLSearchParams(parameters)
  const answer = form
    ? await fetch(`${server.url}/api/v1/${path}`, { method: 'POST', body })
    : await fetch(`${server.url}/api/v1/${path}?${body}`)
  const read = (await answer.json()) as Answer
  expect(answer.status).toBe(read.status === 'success' ? 200 : 400)
  return read
}
const NOW_S = String(NOW_MS / 1000)

describe('queries', () => {
  it('shows strangeness above 1 where it opens an anomaly, by GET and by form', async () => {
    const query = { query: 'anomaly_score{entity="checkout"}', time: NOW_S }
    const got = await ask('query', query)
    expect(got.data.resultType).toBe('vector')
    expect(got.data.result).toEqual([
      {
        metric: {
          __name__: 'anomaly_score',
          for: 'latency_seconds:p99',
          entity: 'checkout',
          service: 'checkout',
          zone: 'a',
        },
        value: [NOW_MS / 1000, String(6.5 / here.deps.openSurprise)],
      },
    ])
    expect(await ask('query', query, true)).toEqual(got)
  })

  it('takes question marks as they are, and no label from what objects inherit', async () => {
    const query = `query=${encodeURIComponent('y{entity=~"checkout')}?${encodeURIComponent('"}')}&time=${NOW_S}`
    const answer = await fetch(`${server.url}/api/v1/query?${query}`)
    expect(((await answer.json()) as Answer).data.result).toHaveLength(1)
    for (const name of ['constructor', 'toString']) {
      expect((await ask(`label/${name}/values`)).data).toEqual([])
      const selector = `foreshock_disruption{${name}=~".+"}`
      expect((await ask('query', { query: selector, time: NOW_S })).data.result).toEqual([])
    }
  })

  it('gives over a range what it gives at each time', async () => {
    const stepS = here.history.stepMs / 1000
    const start = NOW_MS / 1000 - 20 * stepS
    for (const name of ['y', 'yhat', 'yhat_lower', 'yhat_upper']) {
      const text = `${name}{zone=~"a|b",entity!="payments"}`
      const all = await ask('query_range', {
        query: text,
        start: String(start),
        end: NOW_S,
        step: `${stepS}s`,
      })
      expect(all.data.result).toHaveLength(1)
      const { values } = all.data.result[0]
      expect(values).toHaveLength(21)
      for (const i of [0, 7, 20]) {
        const one = await ask('query', { query: text, time: String(values[i][0]) })
        expect(one.data.result[0].value).toEqual(values[i])
      }
    }
  })

  it('has no value before the first window, nor long after the last', async () => {
    for (const time of ['0', String(NOW_MS / 1000 + 86_400)])
      expect((await ask('query', { query: 'y', time })).data.result).toEqual([])
  })

  it('shows disruptions while they last', async () => {
    const { detectedAt } = here.board[0]
    const at = Date.parse(detectedAt) / 1000
    const found = await ask('query', {
      query: 'foreshock_disruption{severity=~"maj.*"}',
      time: String(at + 1),
    })
    expect(found.data.result).toMatchObject([
      { metric: { id: 'dis_one', entity: 'checkout' }, value: [at + 1, '87'] },
    ])
    expect((await ask('query', { query: 'foreshock_disruption', time: String(at - 1) })).data.result).toEqual(
      [],
    )
  })

  it('computes with numbers, as Grafana asks to see whether it is there', async () => {
    expect((await ask('query', { query: '1+1', time: '5' }, true)).data).toEqual({
      resultType: 'scalar',
      result: [5, '2'],
    })
    expect(parseQuery('2+3*4/2-1')).toEqual({ type: 'number', value: 7 })
  })
})

describe('what there is', () => {
  it('lists series, labels and values', async () => {
    const series = await ask('series', { 'match[]': 'y{for=~"latency.*"}' })
    expect(series.data.map((one: { entity: string }) => one.entity)).toEqual(['checkout', 'payments'])
    const labels = await ask('labels', {})
    expect(labels.data).toEqual(
      expect.arrayContaining(['__name__', 'entity', 'for', 'service', 'severity', 'zone']),
    )
    expect((await ask('label/entity/values', { 'match[]': 'y' })).data).toEqual([
      'checkout',
      'payments',
      'shop',
    ])
    expect((await ask('label/entity/values', { 'match[]': 'y', limit: '1' })).data).toEqual(['checkout'])
    expect((await ask('label/__name__/values')).data).toEqual(expect.arrayContaining(['y', 'anomaly_score']))
    expect(Object.keys((await ask('metadata')).data)).toContain('yhat')
    expect((await ask('status/buildinfo')).data.version).toMatch(/^2\./)
  })
})

describe('refusals', () => {
  it.each([
    ['sum(y)', /function or aggregation/],
    ['sum by (entity) (y)', /function or aggregation/],
    ['y[5m]', /\[5m\].*only selectors/],
    ['y offset 5m', /offset/],
    ['y > 1', /> 1/],
    ['{}', /wants a value/],
    ['y{entity=~"(?=x)"}', /not RE2/],
    ['y{entity="x"', /expected , or \}/],
    ['y{entity="x}', /does not end/],
    ['y{="x"}', /label name/],
    ['1 +', /expected a number/],
    ['x'.repeat(9000), /characters/],
  ])('%s', async (query, why) => {
    const answer = await ask('query', { query })
    expect(answer).toMatchObject({ status: 'error', errorType: 'bad_data' })
    expect(answer.error).toMatch(why)
  })

  it('says which parameter is missing or wrong', async () => {
    expect((await ask('query')).error).toMatch(/no query/)
    expect((await ask('series')).error).toMatch(/match\[\]/)
    const base = { query: 'y', start: '0', end: '10', step: '1' }
    for (const step of ['soon', 'Infinity'])
      expect((await ask('query_range', { ...base, step })).error).toMatch(/step/)
    expect((await ask('query_range', { ...base, end: '-1' })).error).toMatch(/before start/)
    expect((await ask('query_range', { ...base, end: '20000' })).error).toMatch(/11000/)
    expect((await ask('query', { query: 'y', time: 'noon' })).error).toMatch(/time/)
  })

  it('answers a pattern made to be slow at once', async () => {
    const started = performance.now()
    await ask('query', { query: `y{entity=~"(${'a+'.repeat(20)})+b"}` })
    expect(performance.now() - started).toBeLessThan(2000)
  })
})

describe('selectors', () => {
  it('take back every value that was quoted', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('"', "'"), (value, quote) => {
        fc.pre(value !== '')
        const escaped = value.replace(/[\\"']/g, c => `\\${c}`).replaceAll('\n', '\\n')
        const matchers = parseSelector(`y{a=${quote}${escaped}${quote}, b!~"x.*",}`)
        expect(matchers[1]).toMatchObject({ name: 'a', equals: value })
        expect(matchers[2].matches('xyz')).toBe(false)
        expect(matchers[2].matches('yxz')).toBe(true)
      }),
    )
  })

  it('throw nothing but QueryError, whatever comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z]{0,3}[{}"=~!,a-z0-9 ()[\]+*.]*$/)), text => {
        try {
          parseQuery(text)
        } catch (error) {
          expect(error).toBeInstanceOf(QueryError)
        }
      }),
    )
  })
})
