// `JSON.parse` alone on the same samples, one message a sample as JSON lines have it; the texts are made before.
// args: series, series of a body, steps a turn
import { fleetOf, METRICS, podAddress, podLabels, podSuffix, serviceOf } from '../headline/fleet.ts'
import { cpuNs } from '../measure.ts'
import { serveTurns } from '../turns.ts'

const [series, bodySeries, steps] = process.argv.slice(2).map(Number)
const STEP_MS = 15_000
const T0 = 1_790_000_000_000
const fleet = fleetOf(series)
let now = 0
let sum = 0

function line(i: number, t: number): string {
  const pod = Math.floor(i / METRICS.length)
  const { name, labels, level } = METRICS[i % METRICS.length]
  const own = podLabels(serviceOf(pod, fleet))
  const place = { instance: podAddress(pod, 0), pod: `${own.service}-7d9f8b6c5-${podSuffix(pod, 0)}` }
  const value = level * (1 + 0.1 * Math.sin(i * 12.9898 + t * 78.233))
  return JSON.stringify({
    metric: name,
    labels: { ...labels, ...own, ...place },
    time: T0 + t * STEP_MS,
    value,
  })
}

serveTurns(() => {
  let [ns, samples] = [0, 0]
  for (let i = 0; i < steps; i++, now++) {
    for (let first = 0; first < fleet.series; first += bodySeries) {
      const lines: string[] = []
      for (let s = first; s < Math.min(first + bodySeries, fleet.series); s++) lines.push(line(s, now))
      const before = cpuNs()
      for (const text of lines) sum += (JSON.parse(text) as { value: number }).value
      ns += cpuNs() - before
      samples += lines.length
    }
  }
  if (!(sum > 0)) throw new Error('nothing was read')
  return ns / samples
})
