// A wall clock that can be stepped while a program runs, as NTP or an operator steps it: `node --import <this> program`.
// The offset in milliseconds stands in the file `clock` beside the configuration; it is looked at every 100 ms. The
// monotonic clock (performance.now, timers) goes on as it does on a machine whose date is set.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const file = join(dirname(process.argv[process.argv.indexOf('--config') + 1]), 'clock')
const RealDate = Date
const realNow = RealDate.now.bind(RealDate)
let offset = 0
let lookedMs = Number.NEGATIVE_INFINITY

function now() {
  const at = performance.now()
  if (at - lookedMs > 100) {
    lookedMs = at
    try {
      offset = Number(readFileSync(file, 'utf8')) || 0
    } catch {
      offset = 0
    }
  }
  return realNow() + offset
}

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now())
    else super(...args)
  }
  static now() {
    return now()
  }
}
