import type { SeriesMeta } from '../core/series.ts'
import type { ToldSeries } from './words.ts'

/**
 * Series of a piece: as JSON some 64 kB. All that is made of a piece dies young; of a window of new series in one piece the heaps of
 * both threads would grow by hundreds of megabytes, which stay as long as little is allocated afterwards.
 */
const PIECE_SERIES = 256

/** Series as they cross to a worker: pieces of JSON, one after the other as bytes, since text would lie on the heap of both. */
export function toldSeries(
  series: readonly number[],
  rows: readonly number[],
  metaOf: (series: number) => SeriesMeta,
): ToldSeries {
  const pieces: Buffer[] = []
  const ends: number[] = []
  let end = 0
  for (let from = 0; from < series.length; from += PIECE_SERIES) {
    const piece = Buffer.from(JSON.stringify(series.slice(from, from + PIECE_SERIES).map(metaOf)))
    pieces.push(piece)
    end += piece.length
    ends.push(end)
  }
  const metas = new Uint8Array(end)
  for (const [p, piece] of pieces.entries()) metas.set(piece, ends[p] - piece.length)
  return {
    rows: Uint32Array.from(rows),
    series: Uint32Array.from(series),
    metas,
    ends: Uint32Array.from(ends),
  }
}

/** Hands over the series that were told, in their order. */
export function forEachTold(
  { rows, series, metas, ends }: ToldSeries,
  take: (row: number, series: number, meta: SeriesMeta) => void,
): void {
  const decoder = new TextDecoder()
  let i = 0
  for (let p = 0, from = 0; p < ends.length; from = ends[p++])
    for (const meta of JSON.parse(decoder.decode(metas.subarray(from, ends[p]))) as SeriesMeta[]) {
      take(rows[i], series[i], meta)
      i++
    }
}
