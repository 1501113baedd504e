// Shows how numbers are told: three significant digits and the unit that fits the size.
import { describe, expect, it } from 'vitest'
import { formatRange, formatValue, metricWords } from '../../src/core/units.ts'

describe('formatValue', () => {
  const cases: readonly (readonly [number, string, string])[] = [
    [1.9, 's', '1.9 s'],
    [0.46, 's', '460 ms'],
    [0.99999, 's', '1 s'],
    [0.0000851, 's', '85.1 µs'],
    [7260, 's', '2.02 h'],
    [460, 'ms', '460 ms'],
    [1900, 'ms', '1.9 s'],
    [0, 's', '0 s'],
    [12_900_000, 'By', '12.3 MiB'],
    [0, 'By', '0 B'],
    [2048, 'By/s', '2 KiB/s'],
    [0.0421, 'ratio', '4.21 %'],
    [42.123, 'percent', '42.1 %'],
    [120.4, '1/s', '120/s'],
    [120.4, '{req}/s', '120 req/s'],
    [1_234_567, '', '1.23M'],
    [3400, '1', '3400'],
    [-0.5, '', '-0.5'],
    [Number.NaN, 's', 'nothing'],
  ]
  for (const [value, unit, text] of cases) {
    it(`${value} ${unit} is ${text}`, () => expect(formatValue(value, unit)).toBe(text))
  }
})

describe('formatRange', () => {
  it('names a shared unit once', () => {
    expect(formatRange(0.3, 0.7, 's')).toBe('300–700 ms')
    expect(formatRange(0.3, 1.2, 's')).toBe('300 ms–1.2 s')
    expect(formatRange(0.01, 0.02, 'ratio')).toBe('1–2 %')
  })
})

describe('metricWords', () => {
  it('drops units and punctuation', () => {
    expect(metricWords('latency_seconds:p99')).toBe('latency p99')
    expect(metricWords('errors_total:rate')).toBe('errors rate')
    expect(metricWords('system.cpu.utilization')).toBe('system cpu utilization')
  })
})
