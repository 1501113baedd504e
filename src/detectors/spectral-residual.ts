import type { Chunk, ColumnSpec } from '../core/columns.ts'
import { fft, fftPlan, inverseFft } from '../math/fft.ts'
import type { Kernel } from './kernel-detector.ts'

/**
 * Spectral residual: Ren et al. 2019, "Time-series anomaly detection service at Microsoft", KDD, §4. The log spectrum
 * less its own moving average is what is not expected of it; transformed back it is a saliency map, and a value is
 * strange when its saliency stands out of that before it. Window and extension as in the paper: the last five places
 * hold one estimated point, x̂ = x₋₅ + 5·(mean gradient), so that the newest value is not at the border; the gradient is
 * that of the values before the newest, or a spike would be drawn on into the future and be none.
 * Causal: only the trailing window is looked at. Deviation: the window's mean is taken off, since the transform of a
 * constant is nothing but rounding.
 */
const WINDOW = 128
/** Estimated places at the end (the paper's κ), and values that the gradient comes from (m). */
const ESTIMATED = 5
const BACK = 5
const HELD = WINDOW - ESTIMATED
/** Frequencies that a log amplitude is averaged over (q), and saliencies that the newest is held against (z). */
const SPECTRUM_MEAN = 3
const SALIENCY_MEAN = 21
/** Amplitudes below this share of the largest count as this. */
const LEAST_AMPLITUDE = 1e-8
/** Standing out by less than a quarter of the mean means nothing. */
const FLOOR = 0.25

const COLUMNS = {
  /** Values in the ring, up to HELD. */
  held: 'u16',
  next: 'u16',
  ring: ['f64', HELD],
} as const satisfies ColumnSpec
type State = Chunk<typeof COLUMNS>

const plan = fftPlan(WINDOW)
const re = new Float64Array(WINDOW)
const im = new Float64Array(WINDOW)
const logs = new Float64Array(WINDOW)

/** The trailing window with x as the newest value, less its mean; false when nothing varies in it. */
function fillWindow(s: State, x: number): boolean {
  for (let i = 1; i < HELD; i++) re[i - 1] = s.ring[(s.next[0] + i) % HELD]
  re[HELD - 1] = x
  const last = HELD - 2
  let gradients = 0
  for (let i = 1; i <= BACK; i++) gradients += (re[last] - re[last - i]) / i
  const estimate = re[last + 1 - BACK] + gradients
  re.fill(estimate, HELD)
  let mean = 0
  for (let i = 0; i < WINDOW; i++) mean += re[i] / WINDOW
  let largest = 0
  for (let i = 0; i < WINDOW; i++) {
    re[i] -= mean
    if (Math.abs(re[i]) > largest) largest = Math.abs(re[i])
  }
  if (largest <= 1e-9 * Math.abs(mean) || largest < 1e-300) return false
  for (let i = 0; i < WINDOW; i++) re[i] /= largest
  im.fill(0)
  return true
}

/** Turns the window in re into its saliency map. */
function saliency(): void {
  fft(plan, re, im)
  let largest = 0
  for (let k = 0; k < WINDOW; k++) {
    const amplitude = Math.sqrt(re[k] * re[k] + im[k] * im[k])
    logs[k] = amplitude
    if (amplitude > largest) largest = amplitude
  }
  const least = LEAST_AMPLITUDE * largest
  for (let k = 0; k < WINDOW; k++) {
    const amplitude = logs[k] > least ? logs[k] : least
    re[k] /= amplitude
    im[k] /= amplitude
    logs[k] = Math.log(amplitude)
  }
  // The mean was taken off: its hole would make its neighbours stand out.
  logs[0] = logs[1]
  for (let k = 0; k < WINDOW; k++) {
    let around = 0
    for (let j = 0; j < SPECTRUM_MEAN; j++)
      around += logs[(k + j - (SPECTRUM_MEAN >> 1) + WINDOW) % WINDOW] / SPECTRUM_MEAN
    const residual = Math.exp(logs[k] - around)
    re[k] *= residual
    im[k] *= residual
  }
  inverseFft(plan, re, im)
  for (let i = 0; i < WINDOW; i++) re[i] = Math.sqrt(re[i] * re[i] + im[i] * im[i])
}

export const SPECTRAL_RESIDUAL: Kernel<typeof COLUMNS> = {
  id: 'sr@1',
  version: 1,
  warmUp: HELD,
  columns: COLUMNS,
  floor: FLOOR,
  start() {},
  strangeness(s, x) {
    if (!fillWindow(s, x)) return 0
    saliency()
    let before = 0
    for (let i = 1; i <= SALIENCY_MEAN; i++) before += re[HELD - 1 - i] / SALIENCY_MEAN
    return before > 0 ? Math.max(0, re[HELD - 1] / before - 1) : 0
  },
  learn(s, x) {
    s.ring[s.next[0]] = x
    s.next[0] = (s.next[0] + 1) % HELD
    if (s.held[0] < HELD) s.held[0]++
  },
}
