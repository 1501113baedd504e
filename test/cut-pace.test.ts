// Windows at the pace of a checkpoint's writer: a batch waits until the rows that it changes are written, whatever order
// the parts' own rows have, so that a window behind a cut copies nothing; with a writer that stands still it goes on after a
// bounded time, the longer the more patient it is; and copies that wait never exceed what they may. On the assembled pipeline
// a window at the writer's pace copies a small part of what one that waits for nobody does, whole or in slices; and a body
// waits for room too.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assemble } from '../src/assembly.ts'
import { cutAt, type Stateful } from '../src/checkpoint.ts'
import { parseConfig } from '../src/config.ts'
import { featureBatch } from '../src/core/batch.ts'
import { ColumnStore, type RowTable } from '../src/core/columns.ts'
import { Cut, CutColumn } from '../src/core/cut.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { CutPace } from '../src/cut-pace.ts'
import { Pipeline } from '../src/pipeline.ts'
import { CheckpointEncoder } from '../src/store/checkpoint-format.ts'

const SHIFT = 3
const ROWS = 64

function table(rows: number, order?: Uint32Array): RowTable {
  return {
    capacity: rows,
    keys: () => [],
    row: () => -1,
    ...(order ? { seriesRows: () => order } : {}),
  }
}

function store(): ColumnStore<{ readonly value: 'f64' }> {
  const made = new ColumnStore({ value: 'f64' } as const, SHIFT)
  made.ensure(ROWS)
  return made
}

function batch(from: number, to: number) {
  const made = featureBatch(ROWS, 0)
  for (let row = from; row < to; row++) made.series[made.length++] = row
  return made
}

describe('the pace of a cut', () => {
  it('lets a window copy nothing, whatever order the rows of its parts have', async () => {
    const orders = fc.shuffledSubarray(
      Array.from({ length: ROWS }, (_, row) => row),
      { minLength: ROWS, maxLength: ROWS },
    )
    await fc.assert(
      fc.asyncProperty(orders, fc.integer({ min: 1, max: ROWS }), async (order, perBatch) => {
        const rows = Uint32Array.from(order)
        const ownOf = new Map(order.map((series, own) => [series, own]))
        const whole = store()
        const some = store()
        const cut = new Cut(1e6, ROWS)
        whole.cut(cut, 'whole', 1, table(ROWS))
        some.cut(cut, 'some', 1, table(ROWS, rows))
        const pace = new CutPace(cut, 1e6)
        let isWritten = false
        const write = async () => {
          while (cut.next(64)) await new Promise(done => setImmediate(done))
          isWritten = true
          cut.close()
        }
        const writing = write()
        for (let from = 0; from < ROWS; from += perBatch) {
          const next = batch(from, Math.min(ROWS, from + perBatch))
          await pace.wait(next)
          for (const series of next.series.subarray(0, next.length)) {
            whole.touch(series)
            some.touch(ownOf.get(series) as number)
          }
        }
        await writing
        expect(isWritten).toBe(true)
        expect(cut.copiedBytes).toBe(0)
      }),
      { numRuns: 30 },
    )
  })

  it('does not wait for what lies behind its rows', async () => {
    const cut = new Cut(1e6, ROWS)
    store().cut(cut, 'x', 1, table(ROWS))
    const pace = new CutPace(cut, 1e6)
    const waits = pace.wait(batch(0, 8))
    expect(waits).toBeInstanceOf(Promise)
    for (let i = 0; i < 2; i++) cut.next(64)
    await waits
    expect(pace.wait(batch(0, 8))).toBeUndefined()
    expect(pace.wait(batch(8, 16))).toBeInstanceOf(Promise)
    expect(pace.wait()).toBeUndefined()
    cut.close()
  })

  it('has written by then what the next batch changes before it waits, and rows of a store that ends early', async () => {
    const [whole, early] = [store(), store()]
    const few = new ColumnStore({ value: 'f64' } as const, SHIFT)
    few.ensure(ROWS / 4)
    const cut = new Cut(1e6, ROWS)
    for (const one of [whole, few]) one.cut(cut, 'x', 1, table(ROWS))
    early.cut(cut, 'early', 1, table(ROWS), null, 16)
    const waits = new CutPace(cut, 1e6).wait(batch(8, 16))
    let isReached = false
    waits?.then(() => {
      isReached = true
    })
    for (let i = 0; i < 3 * ROWS && !isReached; i++) {
      cut.next(64)
      await undefined
    }
    for (let row = 0; row < 16; row++) for (const one of [whole, few]) one.touch(row)
    for (let row = 0; row < 32; row++) early.touch(row)
    expect(cut.copiedBytes).toBe(0)
    whole.touch(63)
    expect(cut.copiedBytes).toBe(64)
    cut.close()
  })

  it('goes on without a writer that stands still, and copies no more than may wait', async () => {
    const held = store()
    const cut = new Cut(20 * 64, ROWS)
    held.cut(cut, 'x', 1, table(ROWS))
    // A patience of a hundredth: 20 ms in all.
    const pace = new CutPace(cut, 0, 0.01)
    const started = performance.now()
    await pace.wait(batch(0, ROWS))
    expect(pace.wait(batch(0, ROWS))).toBeUndefined()
    expect(performance.now() - started).toBeLessThan(1500)
    expect(pace.waitedMs).toBeGreaterThan(10)
    for (let row = 0; row < ROWS; row++) held.touch(row)
    expect(cut.heldBytesPeak).toBe(8 * 64)
    expect(cut.isOpen).toBe(true)
    cut.close()
  })

  it('holds nobody when the cut is closed or given up', async () => {
    for (const end of ['closed', 'given up'] as const) {
      const held = store()
      const cut = new Cut(64, ROWS)
      const { columns } = held.cut(cut, 'x', 1, table(ROWS))
      expect(columns.value).toBeInstanceOf(CutColumn)
      const waits = new CutPace(cut, 1e9).wait(batch(0, ROWS))
      if (end === 'closed') cut.close()
      else for (let row = 0; row < ROWS; row++) held.touch(row)
      await waits
      expect(cut.isOpen).toBe(false)
    }
  })
})

const T0 = 1_700_006_400
const SERIES = 600

/** Bytes copied by a window that closes right behind a cut, of those of the checkpoint. */
async function copiedShare(isPaced: boolean, isSliced: boolean): Promise<number> {
  const config = parseConfig({ features: { step: '10s', lateness: '1ms' } })
  const parts = assemble(config, new Rejects())
  const slices = isSliced ? { above: 0, ms: 0.1 } : undefined
  const pipeline = new Pipeline(parts, async () => {}, new Telemetry(), { slices })
  let position = 0
  const send = async (t: number) => {
    const time = T0 + 10 * t
    const lines = Array.from({ length: SERIES }, (_, i) =>
      JSON.stringify({
        time,
        metric: 'cpu_usage',
        labels: { service: `s${i}` },
        value: i + t,
        type: 'gauge',
      }),
    )
    await pipeline.process(++position, {
      kind: 'json-lines',
      encoding: 'identity',
      arrivalMs: time * 1000,
      tenant: 'default',
      bytes: new TextEncoder().encode(lines.join('\n')),
    })
  }
  for (let t = 0; t < 4; t++) await send(t)
  await pipeline.settle()
  const { intake, windows, scoring, disruptions, history } = parts
  const past: Stateful = {
    snapshot: () => [history.snapshot()],
    cut: cut => [history.cut(cut)],
    restore: () => {},
  }
  const cut = new Cut(1e9, parts.series.capacity)
  const stateful = [intake, windows, scoring, disruptions, past]
  const encoder = new CheckpointEncoder(cutAt(position, 0, parts.series, stateful, cut))
  const pace = new CutPace(cut, 60_000)
  if (isPaced) pipeline.beforeBatch = batch => pace.wait(batch)
  let written = 0
  const write = async () => {
    const block = Buffer.alloc(16_384)
    for (let held = encoder.read(block); held > 0; held = encoder.read(block)) {
      written += held
      await new Promise(done => setImmediate(done))
    }
    cut.close()
  }
  const writing = write()
  await send(5)
  await pipeline.settle()
  await writing
  return cut.copiedBytes / written
}

describe('a window of the assembled pipeline right behind a cut', () => {
  for (const isSliced of [false, true])
    it(`copies little at the writer's pace, ${isSliced ? 'in slices' : 'whole'}`, async () => {
      expect(await copiedShare(false, isSliced)).toBeGreaterThan(0.3)
      expect(await copiedShare(true, isSliced)).toBeLessThan(0.15)
    })
})

it('a body waits for room as a batch does, and takes its samples then', async () => {
  const parts = assemble(parseConfig({}), new Rejects())
  const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
  let open = () => {}
  const gate = new Promise<void>(done => {
    open = done
  })
  pipeline.beforeBatch = batch => (batch === undefined ? gate : undefined)
  const receipt = pipeline.process(1, {
    kind: 'json-lines',
    encoding: 'identity',
    arrivalMs: T0 * 1000,
    tenant: 'default',
    bytes: new TextEncoder().encode(JSON.stringify({ time: T0, metric: 'load', labels: {}, value: 1 })),
  })
  expect(parts.series.size).toBe(0)
  open()
  expect((await receipt).samples).toBe(1)
  expect(parts.series.size).toBe(1)
})
