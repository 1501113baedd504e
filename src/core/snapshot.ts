/** Learned state, apart from the code that made it. Rows do not survive a restart, keys do. */

export type ColumnData =
  | Float64Array
  | Float32Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Int16Array
  | Uint8Array
  | Int8Array

export interface Snapshot {
  /** Which part this is, such as `windows` or `ewma`. */
  readonly id: string
  /** Layout version of this part; a restore upgrades or refuses. */
  readonly version: number
  /** Series key per row ('' where the row is free); shared by reference between parts, so stored once. */
  readonly keys: readonly string[]
  /**
   * In place of keys, beside a saved series table: row i is row i of that table, for so many rows; or row `rows[i]` of it.
   */
  readonly rows?: number | Uint32Array
  /** Nobody else has the columns: whoever is restored from them may keep them as its own, or take them away. */
  readonly isGiven?: true
  /** Row-major columns, [keys.length × width] each. */
  readonly columns: Readonly<Record<string, ColumnData>>
  /** Everything that is not a column; JSON-safe. */
  readonly meta: unknown
}
