// Shows who makes room when the table of wires is full: at once those of which nothing was taken, after some minutes levels that
// nobody sends any more, and counts last; also after the clock was set back, and the same after a restart.
import { expect, it } from 'vitest'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { Bench } from './wire.ts'

const T = 1_700_000_000_000
const WIRES = 64
const S = 1000
const MINUTE = 60 * S

const bodyOf = (metrics: readonly string[], timeMs: number, type?: string) =>
  new TextEncoder().encode(
    metrics
      .map(metric => JSON.stringify({ metric, type, labels: { service: 's' }, time: timeMs, value: timeMs }))
      .join('\n'),
  )

const burst = (name: string) => Array.from({ length: WIRES }, (_, i) => `${name}_${i}`)

/** What is refused of bodies that come some time after the first. */
class Sender {
  readonly bench: Bench

  constructor(bench = new Bench({ wiresMax: WIRES })) {
    this.bench = bench
  }

  refused(metrics: readonly string[], afterMs: number, type?: string, tenant = 'default'): number {
    const arrivalMs = T + afterMs
    return this.bench.send('json-lines', bodyOf(metrics, arrivalMs, type), { arrivalMs, tenant }).rejected
  }
}

it('a tenant that may have no more series keeps nobody else out for longer than a minute', () => {
  const limitOf = (tenant: string) => (tenant === 'noisy' ? 2 : 1000)
  const sender = new Sender(new Bench({ wiresMax: WIRES }, new SeriesTable(1000, limitOf)))
  expect(sender.refused(burst('request'), 0, undefined, 'noisy')).toBe(WIRES - 2)
  expect(sender.refused(['load'], 30 * S)).toBe(1)
  expect(sender.refused(['load'], 91 * S)).toBe(0)
})

it('levels that came once make room before counts, and who is heard keeps its place', () => {
  const sender = new Sender()
  expect(sender.refused(['jobs'], 0, 'counter')).toBe(0)
  expect(sender.refused(burst('request').slice(1), 0)).toBe(0)
  for (let m = 1; m < 5; m++) expect(sender.refused([`new_${m}`], m * MINUTE)).toBe(1)
  expect(sender.refused(['request_1'], 4 * MINUTE)).toBe(0)
  expect(sender.refused(['new'], 6 * MINUTE)).toBe(0)
  // The count was silent for as long as the levels, and goes on all the same.
  expect(sender.refused(['jobs', 'request_1'], 7 * MINUTE, 'counter')).toBe(0)
  expect(sender.bench.values('jobs:rate{service="s"}')).toEqual([1000])
})

it('a clock that was set back does not keep a full table full', () => {
  const sender = new Sender()
  expect(sender.refused(burst('request'), 0)).toBe(0)
  expect(sender.refused(['new'], 10 * S)).toBe(1)
  const back = -24 * 60 * MINUTE
  expect(sender.refused(['new'], back)).toBe(1)
  expect(sender.refused(['new'], back + 6 * MINUTE)).toBe(0)
})

it('a restart lets nobody in who would have been refused without one', () => {
  const sender = new Sender()
  sender.refused(burst('jobs'), 0, 'counter')
  expect(sender.refused(['new'], 899 * S)).toBe(1)
  const series = new SeriesTable()
  series.restore(structuredClone(sender.bench.series.snapshot()))
  const restored = new Sender(new Bench({ wiresMax: WIRES }, series))
  restored.bench.intake.restore(structuredClone(sender.bench.intake.snapshot()))
  for (const one of [sender, restored]) {
    expect(one.refused(['new'], 940 * S)).toBe(1)
    expect(one.refused(['new'], 960 * S)).toBe(0)
  }
})

it('a gateway makes room in the same way, and after the clock was set back', () => {
  const splitter = new Splitter(
    { wiresMax: WIRES },
    { rejects: new Rejects(), partitions: 1, place: () => 0 },
  )
  const refused = (metrics: readonly string[], afterMs: number) => {
    const arrivalMs = T + afterMs
    const bytes = bodyOf(metrics, arrivalMs)
    const envelope = {
      kind: 'json-lines',
      encoding: 'identity',
      arrivalMs,
      tenant: 'default',
      bytes,
    } as const
    return splitter.split(envelope).receipt.rejected
  }
  expect(refused(burst('request'), 0)).toBe(0)
  expect(refused(['new'], 10 * S)).toBe(1)
  expect(refused(['new'], 6 * MINUTE)).toBe(0)
  const back = -24 * 60 * MINUTE
  expect(refused(burst('other'), back)).toBe(WIRES - 63)
  expect(refused(burst('other'), back + 6 * MINUTE)).toBe(0)
})
