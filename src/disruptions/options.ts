/** Everything that can be set, with its unit and the reason for its default. Counts of windows are not times. */
export interface DisruptionOptions {
  /** Window step, ms. */
  readonly stepMs: number
  /** Smoothed evidence at which a disruption opens (measured on real days of one-minute data). */
  readonly openAt: number
  /** It stays open while the evidence is at least this share of `openAt`: hysteresis. */
  readonly stayShare: number
  /** Smoothed evidence that makes an entity a member. */
  readonly memberAt: number
  /** Windows below the stay level before it is resolved. */
  readonly quietWindows: number
  /** Windows after which it is closed whatever the evidence; 0 is never. */
  readonly longestWindows: number
  /** Windows after resolution within which the same trouble reopens the same disruption. */
  readonly refractoryWindows: number
  /** Windows after opening at which suspects are ranked again, once more is known. */
  readonly rankAfterWindows: number
  /** Fewest windows between two updates that are not forced by the second ranking. */
  readonly updateGapWindows: number
  /** Windows after which an open disruption is updated even when nothing changed much. */
  readonly heartbeatWindows: number
  /** Onsets this close belong together even without a call path. */
  readonly togetherWindows: number
  /** Windows of the past that a cause is measured against. */
  readonly baselineWindows: number
  /** Most windows after onset that a cause is measured on. */
  readonly postWindows: number
  /** How much rows of a disrupted entity teach the baselines. */
  readonly disruptedWeight: number
  /** An announced interruption without an end lasts this long, ms. */
  readonly plannedMs: number
  /** Windows after an announced interruption in which its echoes are still expected. */
  readonly plannedGraceWindows: number
  /** A change is guilty in full for this long; after as long again it counts 1/e, ms. */
  readonly changeDecayMs: number
  /** Of one tenant. */
  readonly maxOpen: number
  readonly maxEntities: number
  readonly maxEdges: number
  readonly maxAnomalies: number
  /** Of one tenant. */
  readonly maxChanges: number
  /** Resolved disruptions of one tenant kept for the board and for reopening. */
  readonly maxResolved: number
  /** Series ranked for one cause. */
  readonly maxRanked: number
  /** In one event body. */
  readonly maxEvidence: number
  readonly maxSuspects: number
  readonly maxListed: number
  readonly configDigest: string
  /** Where the record is kept, for `replay.log`. */
  readonly log: string
  /** Model versions in use, for `replay.models`. */
  readonly models: Readonly<Record<string, string>>
  /** Digests of the learned models that speak at present, and of those that spoke under these names. */
  readonly modelsOf?: (names: Iterable<string>) => Readonly<Record<string, string>>
  /** Put before `/api/disruptions/…` in links; no slash at the end. */
  readonly linksBase: string
}

/** Limits of one tenant that all tenants together may fill: bounds memory, and leaves room beside a tenant in trouble. */
export const TENANTS_FULL = 10

export const DISRUPTION_DEFAULTS: DisruptionOptions = {
  stepMs: 10_000,
  openAt: 5.25,
  stayShare: 0.7,
  memberAt: 3.7,
  quietWindows: 5,
  longestWindows: 0,
  refractoryWindows: 30,
  rankAfterWindows: 2,
  updateGapWindows: 5,
  heartbeatWindows: 60,
  togetherWindows: 8,
  baselineWindows: 360,
  postWindows: 5,
  disruptedWeight: 0.1,
  plannedMs: 300_000,
  plannedGraceWindows: 10,
  changeDecayMs: 600_000,
  maxOpen: 200,
  maxEntities: 50_000,
  maxEdges: 200_000,
  maxAnomalies: 20_000,
  maxChanges: 1_000,
  maxResolved: 200,
  maxRanked: 20_000,
  maxEvidence: 12,
  maxSuspects: 5,
  maxListed: 50,
  configDigest: 'sha256:unset',
  log: '',
  models: {},
  linksBase: '',
}
