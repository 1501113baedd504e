import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import { FullDetector } from '../detectors/full-detector.ts'
import type { ViewedProfile } from '../detectors/loud-views.ts'
import { COMBINER_FOLDER, OnnxCombiner } from '../detectors/onnx-combiner.ts'
import { SlotDetector } from '../detectors/slot-detector.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from '../detectors/slot-profile.ts'
import { type Part, without } from './ablation.ts'
import type { AlertRule } from './score-alerts.ts'

/** A detector that can mostly also score at once, without a promise a row; one with a model cannot. */
export type ScoringDetector = Detector & { scoreNow?(batch: FeatureBatch, out: ScoreBatch): void }

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

/** Learned detectors. Asked for by name they must be had: a model that cannot be loaded is an error, no warning. */
const LEARNED: readonly DetectorChoice[] = (['full', 'compact', 'tiny'] as const).map(profile => ({
  id: `combiner-${profile}@1`,
  make: context =>
    new OnnxCombiner(context, {
      profile,
      folder: COMBINER_FOLDER,
      onFailure: error => {
        throw error
      },
    }),
  rule: profile === 'full' ? CHOICES[0].rule : RULE,
}))
/** The combiner over the default profile. */
const COMBINER = /^combiner(@\d+)?$/

const isNamed = (choice: { readonly id: string }, id: string) =>
  choice.id === id || choice.id.replace(/@\d+$/, '') === id

/**
 * The detector of an id (its version may be left out); the default without one. `parts` are taken away from it, for
 * ablations.
 */
export function univariateChoice(id?: string, parts: readonly Part[] = []): DetectorChoice {
  const learned = LEARNED.find(one => id !== undefined && (isNamed(one, id) || COMBINER.test(id)))
  if (learned) {
    if (parts.length === 0) return learned
    throw new ForeshockError('FS_INPUT_INVALID', `--without: ${learned.id} has no parts to leave out`)
  }
  const choice = wholeChoice(id)
  return parts.length === 0 ? choice : { ...choice, make: without(parts, choice.make) }
}

function wholeChoice(id: string | undefined): Whole {
  if (id === undefined) return CHOICES[0]
  const found = CHOICES.find(choice => isNamed(choice, id))
  if (found) return found
  const known = [...CHOICES, ...LEARNED].map(choice => choice.id).join(', ')
  throw new ForeshockError('FS_INPUT_INVALID', `unknown detector '${id}': one of ${known}`)
}

/** The profile whose views are exported for a detector's id: its own, or that of the default. */
export function viewedProfile(id?: string): ViewedProfile {
  return wholeChoice(id).id.replace(/@\d+$/, '') as ViewedProfile
}
