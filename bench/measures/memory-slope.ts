// Goal 8: resident memory a series of the running service, all in, from the growth between two sizes of fleet: a fresh
// service for each, fed over HTTP. node --import tsx bench/measures/memory-slope.ts [--quick] [--sizes 1000000,5000000]
import { parseArgs } from 'node:util'
import { headline } from '../headline/headline.ts'
import { QUICK, say } from '../measure.ts'
import { TIER_ZERO } from '../tier-zero.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    sizes: { type: 'string', default: QUICK ? '2000,10000' : '1000000,5000000' },
    minutes: { type: 'string', default: QUICK ? '1' : '2' },
  },
})
const sizes = args.sizes.split(',').map(Number)
const set = 'detection' in TIER_ZERO ? ['detection.richSeries=1'] : []
const at: { series: number; now: number; peak: number }[] = []
for (const series of sizes) {
  const result = await headline(
    {
      series,
      stepS: 15,
      minutes: Number(args.minutes),
      churn: 0,
      seed: 7,
      faults: true,
      bodySeries: 5000,
      connections: 2,
      paceS: 0,
      set: [...set, 'checkpoint.every=1h'],
      node: [],
      folder: undefined,
    },
    () => {},
  )
  if (result.broken !== undefined) throw new Error(`${series} series: ${result.broken}`)
  at.push({ series: result.fleet.series, now: result.steps.at(-1)?.rss ?? 0, peak: result.rssPeak })
}
const [small, large] = [at[0], at[at.length - 1]]
const slope = (key: 'now' | 'peak') => (large[key] - small[key]) / (large.series - small.series)
const sizesText = `${small.series} → ${large.series} series`
say([
  {
    id: 'goal.8',
    what: `resident memory of the running service, slope ${sizesText}`,
    unit: 'B/series',
    values: [slope('now')],
  },
  {
    id: 'slope.peak',
    what: '· of the most that was ever resident',
    unit: 'B/series',
    values: [slope('peak')],
  },
])
