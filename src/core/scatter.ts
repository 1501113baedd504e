import type { OpinionBatch } from './batch.ts'

/**
 * What was said of rows from..to of a part of a batch, to their places in the whole: the place of a row by row of the part.
 * `shift` is added to the strongest's place.
 */
export function scatterOpinions(
  said: OpinionBatch,
  places: Uint32Array,
  from: number,
  to: number,
  out: OpinionBatch,
  shift: number,
): void {
  for (let i = from; i < to; i++) {
    const at = places[i]
    out.surprise[at] = said.surprise[i]
    out.point[at] = said.point[i]
    out.incident[at] = said.incident[i]
    out.score[at] = said.score[i]
    out.expected[at] = said.expected[i]
    out.lower[at] = said.lower[i]
    out.upper[at] = said.upper[i]
    out.evidence[at] = said.evidence[i]
    out.direction[at] = said.direction[i]
    out.strongest[at] = said.strongest[i] + shift
  }
}
