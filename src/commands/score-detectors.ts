import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import { FullDetector } from '../detectors/full-detector.ts'
import { SlotDetector } from '../detectors/slot-detector.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from '../detectors/slot-profile.ts'
import { type Part, without } from './ablation.ts'
import type { AlertRule } from './score-alerts.ts'

/** A detector that can also score at once, without a promise a row. */
export type ScoringDetector = Detector & { scoreNow(batch: FeatureBatch, out: ScoreBatch): void }

export interface DetectorChoice {
  readonly id: string
  readonly make: (context: DetectorContext) => ScoringDetector
  readonly rule: AlertRule
}

const MINUTE_MS = 60_000
const RULE: AlertRule = {
  point: 2,
  pointRefractoryMs: 5 * MINUTE_MS,
  incident: 3.2,
  incidentRefractoryMs: 720 * MINUTE_MS,
}

interface Whole extends DetectorChoice {
  readonly make: (context: DetectorContext) => SlotDetector | FullDetector
}

const CHOICES: readonly Whole[] = [
  { id: 'full@1', make: c => new FullDetector(c), rule: { ...RULE, incident: 3.4 } },
  { id: 'compact@1', make: c => new SlotDetector(c, COMPACT_PROFILE), rule: RULE },
  { id: 'tiny@1', make: c => new SlotDetector(c, TINY_PROFILE), rule: RULE },
]

/**
 * The detector of an id (its version may be left out); the default without one. `parts` are taken away from it, for
 * ablations.
 */
export function univariateChoice(id?: string, parts: readonly Part[] = []): DetectorChoice {
  const choice = wholeChoice(id)
  return parts.length === 0 ? choice : { ...choice, make: without(parts, choice.make) }
}

function wholeChoice(id: string | undefined): Whole {
  if (id === undefined) return CHOICES[0]
  const found = CHOICES.find(choice => choice.id === id || choice.id.replace(/@\d+$/, '') === id)
  if (found) return found
  const known = CHOICES.map(choice => choice.id).join(', ')
  throw new ForeshockError('FS_INPUT_INVALID', `unknown detector '${id}': one of ${known}`)
}
