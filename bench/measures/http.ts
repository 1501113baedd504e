// The service as users run it (dist/cli.js serve, in a process of its own), remote-write bodies over HTTP: CPU of
// the service a sample, journal and answers included. node --import tsx bench/measures/http.ts [--quick]
import { parseArgs } from 'node:util'
import { BodyWriter } from '../bodies.ts'
import { QUICK, say } from '../measure.ts'
import { cpuSeconds, startService } from '../service.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '50000' },
    windows: { type: 'string', default: QUICK ? '2' : '8' },
    warm: { type: 'string', default: QUICK ? '4' : '24' },
    body: { type: 'string', default: '1000' },
  },
})
const count = Number(args.series)
const windows = Number(args.windows)
const warm = Number(args.warm)
const perBody = Number(args.body)
const STEP_MS = 10_000

const service = await startService({ checkpoint: { every: '1h' }, log: { level: 'warn' } })
const writer = new BodyWriter()
const startMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - (warm + windows + 2) * STEP_MS
const headers = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
}

/** CPU ns a sample of the service over one window of all series. */
async function window(t: number): Promise<number> {
  const before = await cpuSeconds(service.url)
  for (let first = 0; first < count; first += perBody) {
    const body = writer.body(first, Math.min(perBody, count - first), t, startMs + t * STEP_MS)
    const answer = await fetch(`${service.url}/api/v1/write`, { method: 'POST', headers, body })
    if (answer.status !== 204) throw new Error(`${answer.status}: ${await answer.text()}`)
    await answer.arrayBuffer()
  }
  return (((await cpuSeconds(service.url)) - before) * 1e9) / count
}

const first = await window(0)
for (let t = 1; t < warm; t++) await window(t)
const steady: number[] = []
for (let t = warm; t < warm + windows; t++) steady.push(await window(t))
await service.stop()
say([
  {
    id: 'http.ns',
    what: `the same over HTTP into the running service, journal included, ${count / 1000} k series`,
    unit: 'ns CPU/sample',
    atMost: 2000,
    values: steady,
  },
  { id: 'http.first.ns', what: '· a series seen for the first time', unit: 'ns CPU/series', values: [first] },
])
