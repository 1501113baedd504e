import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { FullDetector } from '../detectors/full-detector.ts'
import type { SlotDetector } from '../detectors/slot-detector.ts'
import { nextLong, nextShort, surpriseOf } from '../detectors/surprise.ts'
import type { ScoringDetector } from './score-detectors.ts'

/** Parts of the profile detectors that `evaluate --without` takes away, to show what each adds. */
export const PARTS = {
  'daily-maximum': 'point evidence is not set against the usual loudest moment of a day',
  shapes: 'incident evidence knows level shifts only',
  shifts: 'incident evidence knows shapes only, and surprise no level shifts',
  'long-surprise': 'surprise looks back over 14 windows only, not 120',
} as const
export type Part = keyof typeof PARTS

/** Names of parts, comma-separated. */
export function partsOf(text: string): Part[] {
  const names = text.split(',').map(name => name.trim())
  for (const name of names)
    if (!(name in PARTS))
      throw new ForeshockError(
        'FS_INPUT_INVALID',
        `--without '${name}': one of ${Object.keys(PARTS).join(', ')}`,
      )
  return names as Part[]
}

/** A profile detector of one series without some of its parts. What it learns stays the same. */
export function without(
  parts: readonly Part[],
  make: (context: DetectorContext) => SlotDetector | FullDetector,
): (context: DetectorContext) => ScoringDetector {
  return context => {
    const whole = make(context)
    const gone = new Set(parts)
    let short = 0
    let long = 0
    let strangeness = 0
    const scoreNow = (batch: FeatureBatch, out: ScoreBatch): void => {
      whole.scoreNow(batch, out)
      if (Number.isNaN(out.score[0])) return
      const own = whole.partsOf(0)
      strangeness = own.strangeness
      if (gone.has('daily-maximum')) out.point[0] = own.rawPoint
      if (gone.has('shapes')) out.incident[0] -= own.shapes
      if (gone.has('shifts')) out.incident[0] -= own.shift
      if (!gone.has('long-surprise') && !gone.has('shifts')) return
      const shift = gone.has('shifts') ? 0 : own.shift
      const lasting = gone.has('long-surprise') ? 0 : nextLong(long, strangeness)
      out.score[0] = surpriseOf(nextShort(short, strangeness), lasting, shift)
    }
    return {
      id: whole.id,
      width: whole.width,
      warmUpWindows: whole.warmUpWindows,
      scoreNow,
      score: async (batch, out) => scoreNow(batch, out),
      learn: (batch, weight) => {
        short = nextShort(short, strangeness)
        long = nextLong(long, strangeness)
        whole.learn(batch, weight)
      },
      forget: series => whole.forget(series),
      snapshot: () => whole.snapshot(),
      restore: from => whole.restore(from),
      bytes: () => whole.bytes(),
      close: () => whole.close(),
    }
  }
}
