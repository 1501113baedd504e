/** `source` calls `target`. */
export interface CallEdge {
  readonly source: string
  readonly target: string
}
