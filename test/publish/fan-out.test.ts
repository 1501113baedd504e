// One sink that fails or hangs never holds up another; failures are tried again, then counted and told.
import { describe, expect, it } from 'vitest'
import type { DisruptionEvent } from '../../src/core/disruption.ts'
import type { DisruptionSink } from '../../src/core/ports.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { FanOut } from '../../src/publish/fan-out.ts'
import { event } from '../store/samples.ts'

class TestSink implements DisruptionSink {
  readonly name: string
  readonly pending = 0
  readonly got: string[] = []
  closed = false
  readonly #take: (event: DisruptionEvent) => Promise<void>

  constructor(name: string, take: (event: DisruptionEvent) => Promise<void> = async () => {}) {
    this.name = name
    this.#take = take
  }

  async publish(one: DisruptionEvent): Promise<void> {
    await this.#take(one)
    this.got.push(one.id)
  }

  async close(): Promise<void> {
    this.closed = true
  }
}

describe('fan-out', () => {
  it('hands everything to everyone in order, past one that hangs', async () => {
    let release = () => {}
    const stuck = new TestSink('stuck', () => new Promise<void>(done => (release = done)))
    const fine = new TestSink('fine')
    const telemetry = new Telemetry()
    const all = new FanOut({ sinks: [stuck, fine], telemetry })
    const sent = Array.from({ length: 50 }, (_, i) => event(`dis_${i}`))
    for (const one of sent) await all.publish(one)
    expect(await all.settled(50)).toBe(false)
    expect(fine.got).toEqual(sent.map(one => one.id))
    expect(all.pendingBySink()).toEqual({ stuck: 50, fine: 0 })
    expect(all.pending).toBe(50)
    while (stuck.got.length < 50) {
      release()
      await new Promise(done => setImmediate(done))
    }
    expect(await all.settled(1000)).toBe(true)
    expect(stuck.got).toEqual(sent.map(one => one.id))
    expect(all.pending).toBe(0)
    await all.close()
    expect([stuck.closed, fine.closed]).toEqual([true, true])
    const text = await telemetry.text()
    expect(text).toContain('foreshock_disruptions_total{type="opened"} 50')
    expect(text).toContain('foreshock_publish_pending{sink="stuck"} 0')
  })

  it('tries a failed event again', async () => {
    let failures = 2
    const flaky = new TestSink('flaky', async () => {
      if (failures-- > 0) throw new Error('not now')
    })
    const all = new FanOut({ sinks: [flaky], retryMs: [1, 1, 1] })
    await all.publish(event('dis_a'))
    await all.publish(event('dis_b'))
    expect(await all.settled(1000)).toBe(true)
    expect(flaky.got).toEqual(['dis_a.1', 'dis_b.1'])
  })

  it('tells and counts what a sink refuses for good, and goes on', async () => {
    const picky = new TestSink('picky', async one => {
      if (one.id === 'dis_a.1') throw new Error('never')
    })
    const told: string[] = []
    const telemetry = new Telemetry()
    const onFailure = (sink: string, one: DisruptionEvent, cause: unknown) =>
      told.push(`${sink} ${one.id} ${cause}`)
    const all = new FanOut({ sinks: [picky], retryMs: [1], telemetry, onFailure })
    await all.publish(event('dis_a'))
    await all.publish(event('dis_b'))
    await all.settled(1000)
    expect(told).toEqual(['picky dis_a.1 Error: never'])
    expect(picky.got).toEqual(['dis_b.1'])
    expect(await telemetry.text()).toContain('foreshock_publish_total{sink="picky",outcome="dropped"} 1')
  })

  it('drops the oldest beyond its bound', async () => {
    const stuck = new TestSink('stuck', () => new Promise<void>(() => {}))
    let dropped = 0
    const all = new FanOut({ sinks: [stuck], onFailure: () => dropped++ })
    const one = event('dis_a')
    for (let i = 0; i < 10_100; i++) await all.publish(one)
    expect(all.pending).toBe(10_000)
    expect(dropped).toBe(100)
  })
})
