import { CHUNK_MASK, CHUNK_SHIFT } from '../core/columns.ts'

/** Rows of a page. */
export const PAGE_SHIFT = 10
export const PAGE_ROWS = 1 << PAGE_SHIFT

/** Numbers of each row that are 0 where nothing is going on. */
interface LiveChunk {
  readonly hot: Uint8Array
  readonly rest: Uint16Array
  readonly open: Uint8Array
}

/**
 * Which rows need not be looked at one by one: pages of rows of which none is hot, rests or is open. Whoever changes a row says so;
 * that a page is quiet again is found out when it is asked for.
 */
export class QuietPages {
  /** 1 where something may be going on. */
  #lively = new Uint8Array(0)

  /** Something of the row may have changed. */
  touch(row: number): void {
    const page = row >> PAGE_SHIFT
    if (page >= this.#lively.length) this.#grow(page + 1)
    this.#lively[page] = 1
  }

  #grow(pages: number): void {
    const longer = new Uint8Array(Math.max(64, pages, 2 * this.#lively.length))
    longer.set(this.#lively)
    this.#lively = longer
  }

  /** Anything may have changed of rows 0..rows−1. */
  touchAll(rows: number): void {
    if (rows === 0) return
    this.touch(rows - 1)
    this.#lively.fill(1, 0, ((rows - 1) >> PAGE_SHIFT) + 1)
  }

  /** Whether nothing goes on in the page of a row. */
  isQuiet(row: number, chunks: readonly LiveChunk[]): boolean {
    const page = row >> PAGE_SHIFT
    if (page >= this.#lively.length || this.#lively[page] === 0) return true
    const { hot, rest, open } = chunks[row >> CHUNK_SHIFT]
    const from = (page << PAGE_SHIFT) & CHUNK_MASK
    for (let at = from; at < from + PAGE_ROWS; at++) if ((hot[at] | rest[at] | open[at]) !== 0) return false
    this.#lively[page] = 0
    return true
  }

  bytes(): number {
    return this.#lively.byteLength
  }
}

/** End of the rows of an ascending batch, from place `from` on, that are in the page of the first. */
export function pageEnd(series: Uint32Array, from: number, length: number): number {
  const end = ((series[from] >> PAGE_SHIFT) + 1) << PAGE_SHIFT
  let low = from + 1
  let high = Math.min(length, from + end - series[from])
  if (series[high - 1] < end) return high
  while (low < high) {
    const middle = (low + high) >> 1
    if (series[middle] < end) low = middle + 1
    else high = middle
  }
  return low
}

/** The first place from `from` on, before `to`, where either column is `least` or more; `to` where there is none. */
export function nextAbove(a: Float32Array, b: Float32Array, least: number, from: number, to: number): number {
  for (let i = from; i < to; i++) if (a[i] >= least || b[i] >= least) return i
  return to
}

export function isLive({ hot, rest, open }: LiveChunk, series: number): boolean {
  const row = series & CHUNK_MASK
  return (hot[row] | rest[row] | open[row]) !== 0
}

/** As `nextAbove`, or where anything goes on of the row; all lie in one chunk. */
export function nextLive(
  series: Uint32Array,
  { hot, rest, open }: LiveChunk,
  a: Float32Array,
  b: Float32Array,
  least: number,
  from: number,
  to: number,
): number {
  for (let i = from; i < to; i++) {
    const row = series[i] & CHUNK_MASK
    if ((hot[row] | rest[row] | open[row]) !== 0 || a[i] >= least || b[i] >= least) return i
  }
  return to
}
