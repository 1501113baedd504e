import { ForeshockError } from '../../core/errors.ts'
import type { PrometheusClient } from './prometheus-client.ts'
import type { HistorySlab } from './slab.ts'

interface Matrix {
  readonly resultType?: string
  readonly result?: readonly {
    readonly metric: Readonly<Record<string, string>>
    readonly values?: readonly (readonly [number, string])[]
    readonly histograms?: readonly unknown[]
  }[]
}

/**
 * History of one selector through `/api/v1/query_range`: every `stepMs` the newest sample of each series, counters as
 * counts. Points lie at the last millisecond of their step, so that a point stands for what was last seen in it.
 * Returns the series whose whole histograms this API gives in a form that cannot be learned from.
 */
export async function rangeQuery(
  client: PrometheusClient,
  query: string,
  span: { readonly fromMs: number; readonly toMs: number; readonly stepMs: number },
  labels: Readonly<Record<string, string>>,
  slab: HistorySlab,
): Promise<{ histograms: number }> {
  const { fromMs, toMs, stepMs } = span
  const first = Math.floor(fromMs / stepMs) * stepMs + stepMs - 1
  const last = first + Math.floor((toMs - 1 - first) / stepMs) * stepMs
  if (last < first) return { histograms: 0 }
  const form = new URLSearchParams({
    query,
    start: (first / 1000).toFixed(3),
    end: (last / 1000).toFixed(3),
    step: String(stepMs / 1000),
  })
  const matrix = (await client.data('/api/v1/query_range', form)) as Matrix | undefined
  if (matrix?.resultType !== 'matrix' || !Array.isArray(matrix.result))
    throw new ForeshockError('FS_IO', `${query}: the answer is no matrix of series`)
  let histograms = 0
  for (const { metric, values, histograms: whole } of matrix.result) {
    if (whole !== undefined && values === undefined) histograms++
    if (!Array.isArray(values) || metric.__name__ === undefined) continue
    const held = slab.series({ ...labels, ...metric })
    for (const [timeS, value] of values) slab.add(held, Math.round(timeS * 1000), numberOf(value))
  }
  return { histograms }
}

function numberOf(text: string): number {
  return text === '+Inf'
    ? Number.POSITIVE_INFINITY
    : text === '-Inf'
      ? Number.NEGATIVE_INFINITY
      : Number(text)
}
