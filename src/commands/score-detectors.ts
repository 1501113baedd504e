import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import { COMBINER_FOLDER } from '../detectors/combiner.ts'
import { FullDetector } from '../detectors/full-detector.ts'
import { type CombinedProfile, OnnxCombiner } from '../detectors/onnx-combiner.ts'
import { SlotDetector } from '../detectors/slot-detector.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from '../detectors/slot-profile.ts'
import { type Part, without } from './ablation.ts'
import { LONE_DETECTORS } from './lone-detectors.ts'
import { modelChoice, modelFolder } from './model-detector.ts'
import type { AlertRule } from './score-alerts.ts'

/** A detector that can mostly also score at once, without a promise a row; one with a model cannot. */
export type ScoringDetector = Detector & { scoreNow?(batch: FeatureBatch, out: ScoreBatch): void }

export interface DetectorChoice {
  readonly id: string
  /** One line for `--help`. */
  readonly about: string
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
  {
    id: 'full@1',
    about: 'daily shape in phase slots and in fifteen days of values; the default',
    make: c => new FullDetector(c),
    rule: { ...RULE, incident: 3.4 },
  },
  {
    id: 'compact@1',
    about: 'daily shape in 96 phase slots, 3 kB',
    make: c => new SlotDetector(c, COMPACT_PROFILE),
    rule: RULE,
  },
  {
    id: 'tiny@1',
    about: 'daily shape in 48 phase slots, 390 bytes; what every live series has',
    make: c => new SlotDetector(c, TINY_PROFILE),
    rule: RULE,
  },
]

/** Learned detectors. Asked for by name they must be had: a model that cannot be loaded is an error, no warning. */
const LEARNED: readonly DetectorChoice[] = CHOICES.map(({ id, rule }) => {
  const profile = id.replace(/@\d+$/, '') as CombinedProfile
  return {
    id: `combiner-${id}`,
    about: `${id}, its points weighed by a model${profile === 'full' ? '; combiner@1 for short' : ''}`,
    make: context =>
      new OnnxCombiner(context, {
        profile,
        folder: COMBINER_FOLDER,
        onFailure: error => {
          throw error
        },
      }),
    rule,
  }
})
/** The combiner over the default profile. */
const COMBINER = /^combiner(@\d+)?$/

/** Every detector that `--detector` takes, a line each. */
export function detectorHelp(): string {
  const all: readonly DetectorChoice[] = [...CHOICES, ...LEARNED, ...LONE_DETECTORS]
  const lines = all.map(({ id, about }) => `  ${id.padEnd(18)} ${about}`)
  const model = `  ${'model:FOLDER'.padEnd(18)} a model package, asked as the live service asks it; those of entities with --shape multivariate`
  return `\nDetectors of one series (the version may be left out):\n${lines.join('\n')}\n${model}\n`
}

/**
 * The detector of an id (its version may be left out); the default without one. `parts` are taken away from it, for
 * ablations.
 */
export function univariateChoice(id?: string, parts: readonly Part[] = []): DetectorChoice {
  const folder = modelFolder(id)
  if (folder !== undefined && parts.length === 0) return modelChoice(folder)
  const whole = id === undefined ? CHOICES[0] : CHOICES.find(choice => isCalled(choice, id))
  if (whole) return parts.length === 0 ? whole : { ...whole, make: without(parts, whole.make) }
  const lone = COMBINER.test(id ?? '')
    ? LEARNED[0]
    : [...LEARNED, ...LONE_DETECTORS].find(choice => isCalled(choice, id ?? ''))
  if (!lone) {
    const known = [...CHOICES, ...LEARNED, ...LONE_DETECTORS].map(choice => choice.id).join(', ')
    throw new ForeshockError('FS_INPUT_INVALID', `unknown detector '${id}': one of ${known}`)
  }
  if (parts.length > 0) throw new ForeshockError('FS_INPUT_INVALID', `${lone.id} has no parts to leave out`)
  return lone
}

/** The profile whose views are exported for a detector's id: its own, or that of the default. */
export function viewedProfile(id?: string): CombinedProfile {
  const whole = id === undefined ? CHOICES[0] : CHOICES.find(choice => isCalled(choice, id))
  if (whole) return whole.id.replace(/@\d+$/, '') as CombinedProfile
  throw new ForeshockError('FS_INPUT_INVALID', `--views: '${id}' is no profile`)
}

const isCalled = (choice: DetectorChoice, id: string): boolean =>
  choice.id === id || choice.id.replace(/@\d+$/, '') === id
