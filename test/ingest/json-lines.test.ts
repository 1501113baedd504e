// Shows that rows and columns of JSON lines come out as samples, and that a bad line costs only itself and is
// named by its number.
import { describe, expect, it } from 'vitest'
import { Bench } from './wire.ts'

const T = 1_700_000_000_000

describe('json lines', () => {
  it('takes rows and columns, times of every spelling, gaps and declared types', () => {
    const bench = new Bench()
    const receipt = bench.lines(
      { time: T, metric: 'a.b', labels: { service: 's' }, value: 1, unit: 'ms' },
      { time: T / 1000 + 1, metric: 'a.b', labels: { service: 's' }, value: null },
      { time: new Date(T + 2000).toISOString(), metric: 'a.b', labels: { service: 's' }, value: 3 },
      { metric: 'c', entity: 'cart', type: 'counter', times: [T, T + 1000], values: [5, 7] },
    )
    expect(receipt).toMatchObject({ samples: 5, rejected: 0 })
    const key = 'a.b{service="s"}'
    expect(bench.seen.filter(s => s.key === key).map(s => s.timeMs)).toEqual([T, T + 1000, T + 2000])
    expect(bench.values(key)).toEqual([1, Number.NaN, 3])
    expect(bench.meta(key)).toMatchObject({ unit: 'ms', entity: 's' })
    expect(bench.values('c:rate{service="cart"}')).toEqual([2])
  })

  it('takes every word for a unit, be it one that all objects know', () => {
    const bench = new Bench()
    for (const unit of ['constructor', '__proto__', 'Seconds'])
      bench.lines({ time: T, metric: `m_${unit}`, labels: { service: 's' }, value: 1, unit })
    expect(bench.meta('m_constructor{service="s"}').unit).toBe('constructor')
    expect(bench.meta('m___proto__{service="s"}').unit).toBe('__proto__')
    expect(bench.meta('m_Seconds{service="s"}').unit).toBe('s')
  })

  it('keeps as much of a unit as of any other sender', () => {
    const bench = new Bench()
    const unit = 'u'.repeat(1_000_000)
    bench.lines({ time: T, metric: 'm', labels: { service: 's' }, value: 1, unit })
    const metric = {
      name: 'n',
      unit,
      gauge: { dataPoints: [{ timeUnixNano: `${T}000000`, asDouble: 1 }] },
    }
    const body = { resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] }
    bench.send('otlp-json', new TextEncoder().encode(JSON.stringify(body)))
    expect([...bench.series.metas()].map(([, meta]) => meta.unit)).toEqual(['u'.repeat(64), 'u'.repeat(64)])
  })

  it('names each bad line and keeps the good ones', () => {
    const bench = new Bench()
    const text = [
      '{"time":1700000000,"metric":"good","value":1}',
      'nonsense',
      '[]',
      '{"time":1700000000,"value":1}',
      '{"time":"soon","metric":"m","value":1}',
      '{"time":1700000000,"metric":"m","value":"x"}',
      '{"time":1700000000,"metric":"m","labels":{"a":{}},"value":1}',
      '{"metric":"m","times":[1],"values":[]}',
      '{"time":1700000000,"metric":"m","value":1,"type":"odd"}',
      '',
      '{"time":1700000000,"metric":"also good","value":2}',
    ].join('\r\n')
    const receipt = bench.send('json-lines', new TextEncoder().encode(text))
    expect(receipt).toMatchObject({ samples: 2, rejected: 8 })
    expect(receipt.reasons[0]).toContain('line 2')
    expect(bench.keys()).toEqual(['also good', 'good'])
  })
})
