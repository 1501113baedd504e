// Bodies that come twice and in another order, and the input that must give the same. A counter's samples have one order, that of their
// source: one that is overtaken by a later one is refused, because the rate of the later one holds its growth already (as Prometheus
// refuses it, and the Collector's cumulativetodelta). So what crossed bodies are held against is the input in order without the counts
// that were overtaken or repeated, and against that every number must be equal.
import { halfOf, type Input } from './input.ts'

/** Halves of one window in so many change places. */
const CROSSED_EVERY = 3
/** A body comes again so many windows later. */
const AGAIN_AFTER = 2

const isCrossed = (window: number): boolean => window % CROSSED_EVERY === 1

/** What is due, with the halves of some windows crossed, and what was due a while ago once more. */
export function twiceAndCrossed(input: Input, window: number, half: number): string[] {
  const again = window >= AGAIN_AFTER ? [halfOf(input, window - AGAIN_AFTER, half)] : []
  return [halfOf(input, window, isCrossed(window) ? 1 - half : half), ...again]
}

/** The same in order: each body once, without the counters of first halves that the second overtook. */
export function inOrderWithoutOvertaken(input: Input, window: number, half: number): string[] {
  const body = halfOf(input, window, half)
  return [isCrossed(window) && half === 0 ? withoutCounters(body) : body]
}

const withoutCounters = (body: string): string =>
  body
    .split('\n')
    .filter(line => !line.includes('_total"'))
    .join('\n')
