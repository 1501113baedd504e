// The detectors for suspects alone: score and learn over a pool of series in turn, so that the state of one is not in
// the cache of the core when it is needed, as it is live. node --expose-gc --import tsx bench/measures/suspects.ts [--quick]
import { LONE_DETECTORS } from '../../src/commands/lone-detectors.ts'
import { loneSeries } from '../lone-series.ts'
import { cpuNs, type Measured, QUICK, say } from '../measure.ts'

const COUNT = QUICK ? 4 : 32
const STEP_MS = 10_000
/** Windows before any is counted: every tree is full. */
const WARM = QUICK ? 300 : 600
const PART = 20
const PARTS = QUICK ? 2 : 12

const { series, noise, batch, out, weight } = loneSeries(COUNT)

function fill(t: number): void {
  for (let i = 0; i < COUNT; i++) {
    batch.series[i] = i
    batch.windowEndMs[i] = (t + 1) * STEP_MS
    batch.observed[i] = 100 + 30 * Math.sin(t / 40 + i) + 4 * noise[(i * 7 + t * 7919) & 65_535]
  }
}

const measured: Measured[] = []
for (const { id, make } of LONE_DETECTORS) {
  const detector = make({ series, stepMs: STEP_MS })
  const values: number[] = []
  for (let t = 0; t < WARM + PART * PARTS; t++) {
    fill(t)
    const before = cpuNs()
    detector.scoreNow(batch, out)
    detector.learn(batch, weight)
    const ns = (cpuNs() - before) / COUNT
    if (t < WARM) continue
    if ((t - WARM) % PART === 0) values.push(0)
    values[values.length - 1] += ns / PART
  }
  const name = id.replace(/@.*/, '')
  measured.push({
    id: `suspects.${name}.ns`,
    what: `${id}, score and learn, ${COUNT} series`,
    unit: 'ns CPU/sample',
    values,
  })
  measured.push({
    id: `suspects.${name}.bytes`,
    what: '· learned state',
    unit: 'B/series',
    values: [Math.round(detector.bytes() / COUNT)],
  })
}
say(measured)
