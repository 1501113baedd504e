/** A silence of Alertmanager, as far as it matters here. */
export interface Silence {
  readonly id: string
  readonly matchers: readonly {
    readonly name: string
    readonly value: string
    readonly isRegex: boolean
    readonly isEqual: boolean
  }[]
}
