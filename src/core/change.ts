/** Something that people or machines did to an entity. */
export interface Change {
  readonly id: string
  /** Unix ms. */
  readonly timeMs: number
  readonly entity: string
  /** `restart` and `maintenance` announce an expected interruption until `untilMs`. */
  readonly kind: 'deploy' | 'config' | 'flag' | 'traffic' | 'restart' | 'maintenance' | (string & {})
  /** Version, commit, flag name, whatever identifies it to people. */
  readonly ref: string
  readonly untilMs?: number
}
