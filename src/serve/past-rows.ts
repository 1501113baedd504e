import type { ServeDeps } from './deps.ts'

/** Rows in their order: of the series that have a past, or of all where nobody counts those. Some may be nobody's by then. */
export function* rowsWithPast({ series, history }: Pick<ServeDeps, 'series' | 'history'>): Generator<number> {
  const held = history.held?.()
  if (held === undefined) yield* everyRow(series)
  else yield* Uint32Array.from(held).sort()
}

export function* everyRow(series: ServeDeps['series']): Generator<number> {
  for (let row = 0; row < series.capacity; row++) yield row
}
