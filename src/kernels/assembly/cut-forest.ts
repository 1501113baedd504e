// A random cut forest of thirty trees a series, a point at a time; its twin is detectors/cut-tree.ts, where the method and its source stand, and
// the two agree to the bit: the same numbers are drawn and added in the same order. Names are the twin's.
//
// What is faster here: a box is four registers, and those that the point lies in are not even read. A walk down follows the cuts alone; then
// the boxes are looked at from the leaf up to the first that holds the point, for all above hold it as well and add nothing.
//
// Memory: what does not depend on a series, then rows. A row is its columns one after the other; those of a tree lie together in each.

import { ROWS, ROW_BYTES, rowAt } from './_cut-forest-layout'

export { learn } from './_cut-forest-learn'
export { shallowness } from './_cut-forest-score'

export function layoutRows(): usize {
  return ROWS
}

export function layoutRow(): usize {
  return ROW_BYTES
}

export function clear(row: i32): void {
  memory.fill(rowAt(row), 0, ROW_BYTES)
}
