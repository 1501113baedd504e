import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import { FullDetector } from '../detectors/full-detector.ts'
import { SlotDetector } from '../detectors/slot-detector.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from '../detectors/slot-profile.ts'
import { type Part, without } from './ablation.ts'
import { LONE_DETECTORS } from './lone-detectors.ts'
import type { AlertRule } from './score-alerts.ts'

/** A detector that can also score at once, without a promise a row. */
export type ScoringDetector = Detector & { scoreNow(batch: FeatureBatch, out: ScoreBatch): void }

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

/** Every detector that `--detector` takes, a line each. */
export function detectorHelp(): string {
  const all: readonly DetectorChoice[] = [...CHOICES, ...LONE_DETECTORS]
  const lines = all.map(({ id, about }) => `  ${id.padEnd(12)} ${about}`)
  return `\nDetectors of one series (the version may be left out):\n${lines.join('\n')}\n`
}

/**
 * The detector of an id (its version may be left out); the default without one. `parts` are taken away from it, for
 * ablations.
 */
export function univariateChoice(id?: string, parts: readonly Part[] = []): DetectorChoice {
  const whole = id === undefined ? CHOICES[0] : CHOICES.find(choice => isCalled(choice, id))
  if (whole) return parts.length === 0 ? whole : { ...whole, make: without(parts, whole.make) }
  const lone = LONE_DETECTORS.find(choice => isCalled(choice, id ?? ''))
  if (!lone) {
    const known = [...CHOICES, ...LONE_DETECTORS].map(choice => choice.id).join(', ')
    throw new ForeshockError('FS_INPUT_INVALID', `unknown detector '${id}': one of ${known}`)
  }
  if (parts.length > 0) throw new ForeshockError('FS_INPUT_INVALID', `${lone.id} has no parts to leave out`)
  return lone
}

const isCalled = (choice: DetectorChoice, id: string): boolean =>
  choice.id === id || choice.id.replace(/@\d+$/, '') === id
