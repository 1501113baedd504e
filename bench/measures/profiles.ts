// The profile detectors alone: score and learn over many series in order, one repetition a window; from the second
// day on, so that every part of them works. node --expose-gc --import tsx bench/measures/profiles.ts [--quick]
import { FullDetector } from '../../src/detectors/full-detector.ts'
import { PlainDetector } from '../../src/detectors/plain-detector.ts'
import { SlotDetector } from '../../src/detectors/slot-detector.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from '../../src/detectors/slot-profile.ts'
import { loneSeries } from '../lone-series.ts'
import { cpuNs, type Measured, QUICK, say } from '../measure.ts'

const COUNT = QUICK ? 200 : 2000
const STEP_MS = 300_000
const DAY = 288
/** Windows in a repetition: more than a stride of anything that is done now and then. */
const PART = 24
const PARTS = QUICK ? 2 : 12

const { series, noise, batch, out, weight } = loneSeries(COUNT)

/** `wave`: how far the day rises and falls. Where it does not, what is left is noise, which looks for shapes in nearly every window. */
function fill(t: number, wave: number): void {
  const usual = 100 + wave * Math.sin((2 * Math.PI * t) / DAY)
  for (let i = 0; i < COUNT; i++) {
    batch.series[i] = i
    batch.windowEndMs[i] = (t + 1) * STEP_MS
    batch.observed[i] = usual + 4 * noise[(i * 7 + t * 7919) & 65_535]
  }
}

const context = { series, stepMs: STEP_MS }
const GOALS = { plain: 200, 'plain.noise': 200, tiny: 300, compact: 1000, full: 5000 } as const
const measured: Measured[] = []
for (const [name, detector, wave] of [
  ['plain', new PlainDetector(context), 30],
  ['plain.noise', new PlainDetector(context), 0],
  ['tiny', new SlotDetector(context, TINY_PROFILE), 30],
  ['compact', new SlotDetector(context, COMPACT_PROFILE), 30],
  ['full', new FullDetector(context), 30],
] as const) {
  const values: number[] = []
  for (let t = 0; t < 2 * DAY + PART * PARTS; t++) {
    fill(t, wave)
    const before = cpuNs()
    // Plain series are scored at once: there is nothing to wait for.
    if (detector instanceof PlainDetector) void detector.score(batch, out)
    else detector.scoreNow(batch, out)
    detector.learn(batch, weight)
    const ns = (cpuNs() - before) / COUNT
    const at = t - 2 * DAY
    if (at < 0) continue
    if (at % PART === 0) values.push(0)
    values[values.length - 1] += ns / PART
  }
  measured.push({
    id: `profiles.${name}.ns`,
    what: `${detector.id}${wave === 0 ? ' of noise' : ''}, score and learn, ${COUNT} series at 5 min`,
    unit: 'ns CPU/sample',
    atMost: GOALS[name],
    values,
  })
}
say(measured)
