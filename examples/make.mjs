// Makes the example files anew: `node examples/make.mjs`. Seeded, so they come out the same each time.
//
// latency.csv  p99 latency of a shop's checkout, every 5 minutes for three days: a daily rhythm, noise, and from
//              2026-11-12 14:00 a fault of 75 minutes.
// fleet.csv    six services that call one another, every 10 s for an hour; at 10:45 the disk of `store` becomes
//              slow, which everybody above it feels.
// calls.csv    who calls whom.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Uniform in [0, 1) (mulberry32). */
function seeded(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const save = (name, rows) => writeFileSync(join(import.meta.dirname, name), `${rows.join('\n')}\n`)
const iso = timeMs => new Date(timeMs).toISOString().replace('.000Z', 'Z')
/** About normal, mean 0, standard deviation 0.5. */
const wobble = random => random() + random() + random() - 1.5

function latency() {
  const random = seeded(1)
  const fromMs = Date.UTC(2026, 10, 10)
  const faultMs = Date.UTC(2026, 10, 12, 14)
  const rows = ['timestamp,value']
  for (let timeMs = fromMs; timeMs < fromMs + 3 * 86_400_000; timeMs += 300_000) {
    const day = Math.sin((2 * Math.PI * (timeMs - fromMs)) / 86_400_000 - Math.PI / 2)
    let seconds = 0.42 + 0.14 * day + 0.03 * wobble(random)
    if (timeMs >= faultMs && timeMs < faultMs + 75 * 60_000) seconds += 0.9 + 0.2 * wobble(random)
    rows.push(`${iso(timeMs)},${seconds.toFixed(4)}`)
  }
  save('latency.csv', rows)
}

const CALLS = [
  ['edge', 'checkout'],
  ['edge', 'search'],
  ['checkout', 'payments'],
  ['checkout', 'inventory'],
  ['inventory', 'store'],
]
const OWN_LATENCY_S = {
  edge: 0.012,
  checkout: 0.02,
  search: 0.03,
  payments: 0.045,
  inventory: 0.018,
  store: 0.008,
}

function fleet() {
  const random = seeded(2)
  const fromMs = Date.UTC(2026, 10, 12, 10)
  const faultFromMs = fromMs + 45 * 60_000
  const faultToMs = faultFromMs + 8 * 60_000
  const noise = () => 1 + 0.12 * wobble(random)
  const rows = ['timestamp,entity,metric,value,unit']
  for (let timeMs = fromMs; timeMs < fromMs + 3_600_000; timeMs += 10_000) {
    const faulty = timeMs >= faultFromMs && timeMs < faultToMs
    const known = new Map()
    const total = service => {
      if (known.has(service)) return known.get(service)
      let sum = OWN_LATENCY_S[service] * noise()
      for (const [source, target] of CALLS) if (source === service) sum += total(target)
      if (faulty && service === 'store') sum += 0.3 * noise()
      known.set(service, sum)
      return sum
    }
    const row = (service, metric, value, unit) =>
      rows.push(`${iso(timeMs)},${service},${metric},${Number(value.toPrecision(4))},${unit}`)
    for (const service of Object.keys(OWN_LATENCY_S)) {
      row(service, 'latency_p99', total(service), 's')
      row(service, 'requests', 80 * noise(), '1/s')
      row(service, 'error_ratio', 0.002 * noise(), 'ratio')
      const busy = faulty && service === 'store' ? 0.9 : 0.3
      row(service, service === 'store' ? 'disk_busy_ratio' : 'cpu_ratio', busy * noise(), 'ratio')
    }
  }
  save('fleet.csv', rows)
  save('calls.csv', ['source,target', ...CALLS.map(call => call.join(','))])
}

latency()
fleet()
