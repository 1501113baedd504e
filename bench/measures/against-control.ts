// Goals 1 and 3: remote write → tier-0 score against idiomatic JavaScript and against JSON.parse alone, by turns.
// node --import tsx bench/measures/against-control.ts [--quick] [--series N]
import { parseArgs } from 'node:util'
import { QUICK, say } from '../measure.ts'
import { ratios, scriptSide, takeTurns } from '../turns.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '50000' },
    body: { type: 'string', default: '2000' },
    /** Turns of two steps until all code is compiled and every series has an opinion. */
    warm: { type: 'string', default: QUICK ? '2' : '14' },
    repetitions: { type: 'string', default: QUICK ? '2' : '9' },
  },
})
const [warm, repetitions] = [Number(args.warm), Number(args.repetitions)]
const words = [args.series, args.body, '2']
const found = await takeTurns(
  [
    await scriptSide('path', 'path', words),
    await scriptSide('control', 'control', words),
    await scriptSide('json', 'json', words),
  ],
  { warm, repetitions },
)
const size = `${Number(args.series) / 1000} k series`
const unit = 'ns CPU/sample'
say([
  {
    id: 'turns.path.ns',
    what: `remote write → tier-0 score, ${size}, by turns with the next two`,
    unit,
    values: found.path,
  },
  {
    id: 'turns.control.ns',
    what: '· idiomatic JavaScript: packages, strings, objects, EWMA + CUSUM',
    unit,
    values: found.control,
  },
  { id: 'turns.json.ns', what: '· JSON.parse alone, a message a sample', unit, values: found.json },
  {
    id: 'goal.1',
    what: '· idiomatic JavaScript against ours',
    unit: '×',
    better: 'more',
    values: ratios(found.control, found.path),
  },
  {
    id: 'goal.3',
    what: '· ours against JSON.parse alone',
    unit: '×',
    values: ratios(found.path, found.json),
  },
])
