/** One version of a model, by the bytes it is made of. */
export interface ModelVersion {
  /** Such as `service-autoencoder`. */
  readonly model: string
  readonly version: number
  /** `sha256:…` of the model's bytes, as its card says. */
  readonly digest: string
}

interface Ordered {
  readonly model: string
  /** Who ordered it: the name of an API key, `experiment:<id>` or `configuration`. */
  readonly by: string
  readonly why?: string
}

/**
 * What is ordered of the models that score. Orders are journaled like samples, so that they take effect between two
 * windows, at the same place in a replay. `promote` makes a version the champion, `shadow` lets one score beside it
 * unheard, `canary` lets one speak for a share of the series, `withdraw` ends either, `rollback` makes the champion
 * before this one champion again (without one, the model falls silent), `retire` ends a model altogether.
 */
export type ModelOrder =
  | (Ordered & { readonly op: 'promote' | 'shadow'; readonly version: number; readonly digest: string })
  | (Ordered & {
      readonly op: 'canary'
      readonly version: number
      readonly digest: string
      /** 0..1 of the series, by a hash of their keys. */
      readonly share: number
    })
  | (Ordered & { readonly op: 'withdraw' | 'rollback' | 'retire' })

/** How one version does, since it was deployed. */
export interface ModelUse {
  readonly version: number
  readonly digest: string
  /** Window rows scored. */
  readonly rows: number
  /** Window rows on which it had to be passed over: it failed, took too long, or answered NaN. */
  readonly failed: number
  readonly msPerRow: number
  /** Longest call, ms. */
  readonly msMax: number
  /** Why this version is not asked any more. */
  readonly problem?: string
}

/** How a model stands that scores live. */
export interface ModelState {
  readonly model: string
  readonly champion: ModelUse | null
  readonly previous: { readonly version: number; readonly digest: string } | null
  readonly challenger: (ModelUse & { readonly mode: 'shadow' | 'canary'; readonly share: number }) | null
  /** Series or entities that it looks at, and those for which there was no room. */
  readonly covered: number
  readonly refused: number
  /** Why it is not asked at present. */
  readonly problem?: string
}

/** The same rows of one window as champion and challenger saw them; columns are lent until the callee returns. */
export interface PairedScores {
  readonly model: string
  readonly champion: number
  readonly challenger: number
  readonly windowEndMs: number
  readonly length: number
  /** Rows of the series table. */
  readonly series: Uint32Array
  /** Calibrated, −log10 of a tail probability; NaN without an opinion. */
  readonly championSurprise: Float32Array
  readonly challengerSurprise: Float32Array
  /** Time that each took for the whole window, ms: measured, the one thing here that a replay does not repeat. */
  readonly championMs: number
  readonly challengerMs: number
  readonly championFailed: number
  readonly challengerFailed: number
}

/** Is told of every window that two versions both scored. */
export type PairObserver = (pair: PairedScores) => void
