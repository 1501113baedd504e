import type { DetectorContext } from '../core/detector.ts'
import { CUT_FOREST } from '../detectors/cut-forest.ts'
import { FLATLINE } from '../detectors/flatline.ts'
import { HALF_SPACE } from '../detectors/half-space.ts'
import { KernelDetector } from '../detectors/kernel-detector.ts'
import { leftProfile } from '../detectors/left-profile.ts'
import { SHAPE_NEIGHBOURS } from '../detectors/shape-neighbours.ts'
import { SPECTRAL_RESIDUAL } from '../detectors/spectral-residual.ts'
import type { AlertRule } from './score-alerts.ts'
import type { DetectorChoice, ScoringDetector } from './score-detectors.ts'

/**
 * Points as the profiles do, since they are made the same way: twice the usual loudest moment of a day. Incidents at half
 * again the window in a hundred. No threshold here was searched for.
 */
const RULE: AlertRule = {
  point: 2,
  pointRefractoryMs: 5 * 60_000,
  incident: 1.5,
  incidentRefractoryMs: 12 * 3_600_000,
}
/** Where the ensemble opens: the outputs are −log10 of a tail probability. */
const SURPRISE_RULE: AlertRule = { ...RULE, point: 3.3, incident: 3.3 }

interface LoneDetector extends DetectorChoice {
  readonly make: (context: DetectorContext) => ScoringDetector & Required<Pick<ScoringDetector, 'scoreNow'>>
}

/** Detectors that know no daily shape, to be scored with alone; live they look at suspects only. */
export const LONE_DETECTORS: readonly LoneDetector[] = [
  {
    id: 'rcf@1',
    about: 'robust random cut forest over eight values: outliers of value and order',
    make: c => new KernelDetector(c, CUT_FOREST),
    rule: RULE,
  },
  {
    id: 'hst@1',
    about: 'half-space trees over two values: where few lay before; quick to follow drift',
    make: c => new KernelDetector(c, HALF_SPACE),
    rule: RULE,
  },
  {
    id: 'sr@1',
    about: 'spectral residual of the last 128 windows: breaks in rhythm and spikes',
    make: c => new KernelDetector(c, SPECTRAL_RESIDUAL),
    rule: RULE,
  },
  {
    id: 'shapes@1',
    about: 'distance to the third nearest shape of the last thousand windows',
    make: c => new KernelDetector(c, SHAPE_NEIGHBOURS),
    rule: RULE,
  },
  {
    id: 'left-profile@1',
    about: 'distance to the nearest stretch of the last 2048 windows, by the left matrix profile',
    make: c => new KernelDetector(c, leftProfile()),
    rule: RULE,
  },
  {
    id: 'flatline@1',
    about: 'a series that used to vary and stopped; says nothing else',
    make: c => new KernelDetector(c, FLATLINE),
    rule: SURPRISE_RULE,
  },
]
