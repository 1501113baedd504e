import type { Unit } from './metric-kind.ts'

/** Numbers as people read them: three significant digits and the unit that fits. */

const SI: readonly (readonly [number, string])[] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
]
const BINARY: readonly (readonly [number, string])[] = [
  [2 ** 40, 'TiB'],
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
  [1, 'B'],
]
const TIME: readonly (readonly [number, string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
  [1e-9, 'ns'],
]

/** Three significant digits, without exponents for everyday sizes and without trailing zeros. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nothing' : value > 0 ? '∞' : '−∞'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e6 || size < 1e-4)
    return value
      .toExponential(2)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e')
  return String(size >= 1000 ? Math.round(value) : Number(value.toPrecision(3)))
}

function scaled(value: number, steps: readonly (readonly [number, string])[], gap: string): string {
  const size = Math.abs(value)
  // 0.9995 leaves room for rounding up: 999.6 ms is 1 s.
  const step = steps.find(([factor]) => size >= factor * 0.9995) ?? steps[steps.length - 1]
  return `${formatNumber(value / step[0])}${step[1] === '' ? '' : gap + step[1]}`
}

/** `1.9 s`, `460 ms`, `12.3 MiB`, `4.2 %`, `120 req/s`, `3.4k`. NaN is `nothing`. */
export function formatValue(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return formatNumber(value)
  switch (unit) {
    case 's':
      return value === 0 ? '0 s' : scaled(value, TIME, ' ')
    case 'ms':
      return value === 0 ? '0 ms' : scaled(value / 1000, TIME, ' ')
    case 'By':
      return scaled(value, BINARY, ' ')
    case 'Mi':
      return scaled(value * 2 ** 20, BINARY, ' ')
    case 'm':
      return `${formatNumber(value / 1000)} cores`
    case 'By/s':
      return `${scaled(value, BINARY, ' ')}/s`
    case 'ratio':
      return `${formatNumber(value * 100)} %`
    case 'percent':
      return `${formatNumber(value)} %`
    case '1':
    case '':
      return scaled(value, Math.abs(value) < 1e4 ? [[1, '']] : SI, '')
    case '1/s':
      return `${formatNumber(value)}/s`
    default: {
      const words = unit.replace(/[{}]/g, '')
      return `${formatNumber(value)}${words.startsWith('/') ? '' : ' '}${words}`
    }
  }
}

/** `0.3–0.7 s` where both ends share a unit, else `300 ms–1.2 s`. */
export function formatRange(lower: number, upper: number, unit: Unit): string {
  const [low, high] = [formatValue(lower, unit), formatValue(upper, unit)]
  const suffix = /[^\d]*$/.exec(high)?.[0] ?? ''
  return suffix !== '' && low.endsWith(suffix) ? `${low.slice(0, -suffix.length)}–${high}` : `${low}–${high}`
}

/** Metric names as words: `latency_seconds:p99` → `latency p99`, `errors_total:rate` → `errors rate`. */
export function metricWords(metric: string): string {
  const [base, ...statistic] = metric.split(':')
  const words = base
    .replace(/_(total|seconds|milliseconds|ms|bytes|ratio|percent|pct)(?=_|$)/g, '')
    .replace(/[_.]+/g, ' ')
    .trim()
  return [words === '' ? base : words, ...statistic].join(' ')
}
