// JSON lines → samples, one sample a line and a hundred, of whole values and of 16 to 17 digits: with the kernel, without it, and
// JSON.parse alone of the same lines, by turns. node --import tsx bench/measures/json-lines.ts [--quick]
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { IngestIntake } from '../../src/ingest/intake.ts'
import { cpuNs, type Measured, QUICK, say } from '../measure.ts'

const SAMPLES = 2000
const WARM = QUICK ? 2 : 20
const REPETITIONS = QUICK ? 2 : 40
const T0 = 1_700_000_000_000
const STEP_MS = 15_000
const encoder = new TextEncoder()
const decoder = new TextDecoder()

type Shape = 'rows' | 'columns'
const valueAt = (i: number, t: number, long: boolean): number =>
  long ? 1000 * Math.sin(12.9898 * i + t) : i + t

function rows(t: number, long: boolean): string[] {
  return Array.from({ length: SAMPLES }, (_, i) => {
    const job = `service-${i % 97}`
    const pod = `${job}-7d9f8b6c5-${i.toString(36)}`
    const labels = { cluster: 'eu-west-1', instance: `10.0.${i >> 8}.${i & 255}:9090`, job, pod }
    const metric = 'http_request_duration_seconds'
    return JSON.stringify({ time: T0 + t * STEP_MS, metric, labels, value: valueAt(i, t, long) })
  })
}

function columns(t: number, long: boolean): string[] {
  return Array.from({ length: SAMPLES / 100 }, (_, i) => {
    const at = Array.from({ length: 100 }, (_, k) => 100 * t + k)
    const times = at.map(n => T0 + n * STEP_MS)
    return JSON.stringify({
      metric: 'm',
      labels: { pod: `p${i}` },
      times,
      values: at.map(n => valueAt(i, n, long)),
    })
  })
}

function measure(shape: Shape, long: boolean): Measured[] {
  const sides = [false, true].map(plain => {
    const context = { series: new SeriesTable(), rejects: new Rejects() }
    return new IngestIntake({ plain, futureMsMax: 1e15 }, context)
  })
  const found: number[][] = [[], [], []]
  for (let t = 0; t < WARM + REPETITIONS; t++) {
    const bytes = encoder.encode((shape === 'rows' ? rows(t, long) : columns(t, long)).join('\n'))
    const envelope = {
      kind: 'json-lines',
      encoding: 'identity',
      arrivalMs: T0,
      tenant: 'default',
      bytes,
    } as const
    const turns = [
      ...sides.map(side => () => side.decode(envelope, () => {}).samples),
      () =>
        decoder
          .decode(bytes)
          .split('\n')
          .filter(line => JSON.parse(line) !== undefined).length,
    ]
    for (const [s, turn] of turns.entries()) {
      const before = cpuNs()
      const taken = turn()
      const ns = cpuNs() - before
      if (s < 2 && taken !== SAMPLES) throw new Error(`${taken} samples were taken`)
      if (t >= WARM) found[s].push(ns / SAMPLES)
    }
  }
  const what = `${shape === 'rows' ? 'a sample a line' : 'a hundred samples a line'}, ${long ? '16 to 17 digits' : 'whole values'}`
  const id = `json.${shape}.${long ? 'long' : 'short'}`
  const unit = 'ns CPU/sample'
  return [
    { id: `${id}.ns`, what: `JSON lines → samples, ${what}`, unit, values: found[0] },
    { id: `${id}.plain.ns`, what: '· without the kernel', unit, values: found[1] },
    { id: `${id}.parse.ns`, what: '· JSON.parse alone', unit, values: found[2] },
  ]
}

say((['rows', 'columns'] as const).flatMap(shape => [false, true].flatMap(long => measure(shape, long))))
