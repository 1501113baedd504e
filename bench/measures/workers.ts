// Goal 12: samples a second with a thread that scores beside the one that takes samples in, against one thread that does
// everything, by turns, on the wall clock; with two such threads beside, for machines that have cores for them.
// node --import tsx bench/measures/workers.ts [--quick] [--series N]
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Measured, QUICK, say } from '../measure.ts'
import { ratios, scriptSide } from '../turns.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '100000' },
    body: { type: 'string', default: '5000' },
    /** Steps a turn: at its end the last window is waited for with nothing beside it, which no service ever does. */
    steps: { type: 'string', default: QUICK ? '4' : '16' },
    /** A series looks for shapes from its 70th window on. */
    warm: { type: 'string', default: QUICK ? '2' : '10' },
    repetitions: { type: 'string', default: QUICK ? '2' : '7' },
  },
})
const SIDES = ['0', '1', '2'] as const
const [warm, repetitions] = [Number(args.warm), Number(args.repetitions)]
const sides = await Promise.all(
  SIDES.map(workers => scriptSide(workers, 'workers', [args.series, args.body, args.steps, workers])),
)
const wall: Record<string, number[]> = { 0: [], 1: [], 2: [] }
const cpu: Record<string, number[]> = { 0: [], 1: [], 2: [] }
const inlet: Record<string, number[]> = { 0: [], 1: [], 2: [] }
const scorer: Record<string, number[]> = { 1: [], 2: [] }
try {
  for (let t = 0; t < warm + repetitions; t++) {
    for (const side of sides) {
      const [took, spent] = [await side.turn(t), await side.turn(-1)]
      const [own, most] = [await side.turn(-2), await side.turn(-3)]
      if (t < warm) continue
      wall[side.name].push(took)
      cpu[side.name].push(spent)
      inlet[side.name].push(own)
      scorer[side.name]?.push(most)
    }
  }
} finally {
  await Promise.all(sides.map(side => side.close()))
}
const perSecond = (ns: readonly number[]) => ns.map(one => 1e9 / one)
const size = `${Number(args.series) / 1000} k series, all plain`
const rows = ([name, what]: readonly [string, string]): Measured[] => [
  { id: `workers.${name}.rate`, what, unit: 'samples/s wall', better: 'more', values: perSecond(wall[name]) },
  { id: `workers.${name}.cpu`, what: '·· all threads', unit: 'ns CPU/sample', values: cpu[name] },
  {
    id: `workers.${name}.inlet`,
    what: '·· the thread that takes samples in',
    unit: 'ns CPU/sample',
    values: inlet[name],
  },
  ...(scorer[name] === undefined
    ? []
    : [
        {
          id: `workers.${name}.scorer`,
          what: '·· a thread that scores, the one that takes most',
          unit: 'ns CPU/sample',
          values: scorer[name],
        },
      ]),
]
say([
  ...rows(['0', `remote write → disruptions, ${size}, one thread does everything`]),
  ...rows(['1', '· one thread takes samples in, one scores beside it']),
  ...rows(['2', `· and two score beside it, on ${availableParallelism()} cores`]),
  {
    id: 'goal.12',
    what: '· two threads (one scores beside the other) against one',
    unit: '×',
    better: 'more',
    values: ratios(wall[0], wall[1]),
  },
])
