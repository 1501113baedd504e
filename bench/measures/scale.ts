// Goal 9: CPU a sample with many series against few, by turns, in the order in which scrapes come.
// node --import tsx bench/measures/scale.ts [--quick] [--few N] [--many N]
import { parseArgs } from 'node:util'
import { QUICK, say } from '../measure.ts'
import { ratios, scriptSide, takeTurns } from '../turns.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    few: { type: 'string', default: QUICK ? '2000' : '100000' },
    many: { type: 'string', default: QUICK ? '10000' : '5000000' },
    body: { type: 'string', default: '5000' },
    /** Steps a turn, of both: series of one age are compared, as young ones cost less. */
    steps: { type: 'string', default: '5' },
    warm: { type: 'string', default: QUICK ? '2' : '6' },
    repetitions: { type: 'string', default: QUICK ? '2' : '5' },
  },
})
const found = await takeTurns(
  [
    await scriptSide('few', 'path', [args.few, args.body, args.steps]),
    await scriptSide('many', 'path', [args.many, args.body, args.steps]),
  ],
  { warm: Number(args.warm), repetitions: Number(args.repetitions) },
)
const unit = 'ns CPU/sample'
say([
  {
    id: 'scale.few.ns',
    what: `remote write → tier-0 score, ${args.few} series, by turns`,
    unit,
    values: found.few,
  },
  { id: 'scale.many.ns', what: `· with ${args.many}`, unit, values: found.many },
  { id: 'goal.9', what: '· the many against the few', unit: '×', values: ratios(found.many, found.few) },
])
