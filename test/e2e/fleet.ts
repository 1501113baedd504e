import { mulberry32 } from '../../src/math/mulberry32.ts'

/**
 * A synthetic fleet for end-to-end tests: six services that call one another, metrics as JSON lines. The fault is
 * a slow dependency, whose latency shows in every caller above it. Seeded, so that a run repeats itself.
 */
const CALLS: readonly (readonly [string, string])[] = [
  ['edge', 'checkout'],
  ['edge', 'search'],
  ['checkout', 'payments'],
  ['checkout', 'inventory'],
  ['inventory', 'store'],
]
const OWN_LATENCY_S: Readonly<Record<string, number>> = {
  edge: 0.012,
  checkout: 0.02,
  search: 0.03,
  payments: 0.045,
  inventory: 0.018,
  store: 0.008,
}

export interface FleetFault {
  readonly service: string
  readonly fromStep: number
  readonly toStep: number
  readonly extraLatencyS: number
}

/** One body of JSON lines a step. */
export function* fleetBodies(options: {
  readonly fromMs: number
  readonly stepMs: number
  readonly steps: number
  readonly seed: number
  readonly fault?: FleetFault
}): Generator<string> {
  const random = mulberry32(options.seed)
  const noise = () => 1 + 0.12 * (random() + random() + random() - 1.5)
  for (let step = 0; step < options.steps; step++) {
    const time = options.fromMs + step * options.stepMs
    const { fault } = options
    const faulty = fault !== undefined && step >= fault.fromStep && step < fault.toStep
    const latency = new Map<string, number>()
    const total = (service: string): number => {
      const known = latency.get(service)
      if (known !== undefined) return known
      let sum = OWN_LATENCY_S[service] * noise()
      for (const [source, target] of CALLS) if (source === service) sum += total(target)
      if (faulty && fault.service === service) sum += fault.extraLatencyS * noise()
      latency.set(service, sum)
      return sum
    }
    const lines: string[] = []
    const line = (metric: string, labels: Record<string, string>, value: number, unit: string) =>
      lines.push(JSON.stringify({ time, metric, labels, value, unit }))
    for (const service of Object.keys(OWN_LATENCY_S)) {
      line('latency_p99_seconds', { service }, total(service), 's')
      line('requests_per_second', { service }, 80 * noise(), '{req}/s')
      line('error_ratio', { service }, 0.002 * noise(), 'ratio')
      line('cpu_ratio', { service }, 0.3 * noise(), 'ratio')
    }
    for (const [client, server] of CALLS) {
      line(
        'call_latency_p99_seconds',
        { service: client, client, server },
        total(server) + 0.001 * noise(),
        's',
      )
    }
    yield `${lines.join('\n')}\n`
  }
}
