import { beginProfile, type ProfileShape, profileColumns, SAID } from '../math/left-profile.ts'
import type { Kernel } from './kernel-detector.ts'
import { LeftProfileHome } from './left-profile-home.ts'
import { codeOf, isDoubling, rescaled, startScale } from './left-profile-scale.ts'

/**
 * Left discords: how far the latest values are from the second nearest stretch of the last two thousand windows, by the left matrix profile
 * (Yeh et al. 2016; Lu et al. 2022, DAMP: see math/left-profile.ts). Deviations: the distance of level and not of shape, or the noise of a
 * quiet stretch would be as strange as a fall to zero; the second nearest, or a fault that comes again would be its own excuse; stretches of
 * four, so that a fault is told when it begins; a history that reaches back 34 hours at one minute, so that yesterday's shape is in it. All
 * four were chosen on kpi's training part (docs/results.md).
 */
export const LEFT_PROFILE_SHAPE: ProfileShape = {
  length: 4,
  history: 2048,
  exclusion: 4,
  refresh: 256,
  flat: 0.05,
  wants: 'level',
  rank: 2,
}
/** Distances a value below this, in mean deviations of the series, are noise. */
const FLOOR = 0.5
const WARM_UP = 100

const COLUMNS = { centre: 'f64', unit: 'f64', ...profileColumns(LEFT_PROFILE_SHAPE) } as const

/** State lies in memories of its own kernel: one for each detector. `isPlain`: without WebAssembly, to the same effect. */
export function leftProfile(isPlain = false): Kernel<typeof COLUMNS> {
  const shape = LEFT_PROFILE_SHAPE
  const home = new LeftProfileHome(shape, isPlain)
  const perValue = 1 / Math.sqrt(shape.length)
  return {
    id: 'left-profile@1',
    version: 1,
    warmUp: WARM_UP,
    columns: COLUMNS,
    floor: FLOOR,
    home: () => home.rows,
    start(s, _, x) {
      beginProfile(s, shape)
      startScale(s, x)
    },
    strangeness(s, x) {
      home.score(s, codeOf(s, x))
      const distance = s.said[SAID.level]
      return Number.isNaN(distance) ? 0 : distance * perValue
    },
    // An anomaly is learned like anything else, as in a matrix profile: the next one like it is no discord.
    learn(s, x, _, windows) {
      const hasSlid = home.learn(s, codeOf(s, x))
      if ((hasSlid || isDoubling(windows + 1)) && rescaled(s, shape, windows + 1)) home.rescale(s)
    },
  }
}
