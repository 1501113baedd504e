// Shows what a scorer does beside scoring: lets time pass where nothing comes, keeps what Kafka or Redis cannot take,
// stops quietly when another has taken over, passes on and drops repeats, buries what cannot be read, says how it stands,
// and shares limits between partitions. On the log in memory, with real groups where members share partitions.
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import { windowHeader } from '../../src/bus/window-report.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import type { CheckpointStores } from '../../src/core/ports.ts'
import { CONTENT, HEADERS, TOPICS } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { partitionShare } from '../../src/roles/partition-share.ts'
import type { Scorer } from '../../src/roles/scorer.ts'
import type { ScorerPartition } from '../../src/roles/scorer-partition.ts'
import { MemoryCheckpointStores } from '../../src/store/memory-checkpoint-stores.ts'
import { until } from '../bus/streams-contract.ts'
import {
  FROM_MS,
  Puppet,
  reportsOf,
  ScorerWorld,
  STEP_MS,
  takenBy,
  watchedStores,
  worldConfig,
} from './scorer-world.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval'] }))
afterEach(() => void vi.useRealTimers())

const closes = (scorer: Scorer): Scorer => {
  onTestFinished(() => scorer.close())
  return scorer
}
const endOf = (world: ScorerWorld, partition: number): number =>
  Math.max(
    ...reportsOf(world.messages(TOPICS.anomalies))
      .filter(({ header }) => header.samplesPartition === partition)
      .map(({ header }) => header.windowEndMs),
  )

const scored = (world: ScorerWorld, ...scorers: Scorer[]): Promise<void> =>
  until('all is scored', () => {
    const held = scorers.flatMap(scorer => scorer.partitions)
    const isWhole = (one: ScorerPartition) =>
      one.position === world.messages(TOPICS.samples, one.partition).length
    return held.length === world.partitions && held.every(isWhole)
  })

describe('time', () => {
  it('passes in partitions without any series, and in those where nothing comes', async () => {
    const world = new ScorerWorld(4, 1)
    world.nowMs = FROM_MS + 30_500
    const scorer = closes(world.scorer())
    await scorer.start()
    await until('all are held', () => scorer.partitions.length === 4)
    await scorer.tick()
    await until('all tell how far they are', () => reportsOf(world.messages(TOPICS.anomalies)).length === 4)
    // One step of lateness.
    for (const p of [0, 1, 2, 3]) expect(endOf(world, p)).toBe(FROM_MS + 20_000)

    world.fill(12, 7, FROM_MS + 40_000)
    const busy = [0, 1, 2, 3].filter(p =>
      world.messages(TOPICS.samples, p).some(one => one.headers[HEADERS.content] === CONTENT.columns),
    )
    expect(busy.length).toBeGreaterThan(1)
    await until('all is scored', () => busy.every(p => endOf(world, p) === FROM_MS + 140_000))

    // An hour of silence, in steps as ticks come. Windows are empty for a while, then time goes on without them.
    for (let i = 1; i <= 60; i++) {
      world.nowMs = FROM_MS + 151_000 + i * STEP_MS
      // As a timer's would, each comes in a turn of its own.
      await turn()
      await scorer.tick()
      const ticks = () => world.messages(TOPICS.samples, busy[0]).length
      const before = ticks()
      await until('read', () =>
        scorer.partitions.every(one => one.position === world.messages(TOPICS.samples, one.partition).length),
      )
      expect(ticks()).toBe(before)
    }
    for (const p of [0, 1, 2, 3]) expect(endOf(world, p)).toBeGreaterThan(FROM_MS + 151_000 + 55 * STEP_MS)
    expect(world.problems).toEqual([])
  })

  it('is not told into a partition that is behind, or in use', async () => {
    const world = new ScorerWorld(1, 1)
    world.fill(3)
    const puppet = new Puppet(world)
    await puppet.start()
    const { length } = world.messages(TOPICS.samples)
    await puppet.take(1)
    await puppet.scorer.tick()
    await puppet.scorer.tick()
    expect(world.messages(TOPICS.samples).length).toBe(length)
    await puppet.take(100)
    await puppet.scorer.tick()
    expect(world.messages(TOPICS.samples).length).toBe(length)
    await puppet.scorer.tick()
    expect(world.messages(TOPICS.samples).length).toBe(length + 1)
    await puppet.take(1)
    await puppet.scorer.tick()
    expect(world.messages(TOPICS.samples).length).toBe(length + 2)
  })
})

describe('engines that are away', () => {
  it('Kafka: what was found waits, and nothing is saved before it is written', async () => {
    const world = new ScorerWorld(1, 1, worldConfig({ checkpoint: { every: '20s' } }))
    world.fill(20)
    const still = new Puppet(world)
    await still.start()
    await still.take(100)
    await still.revoke(true)
    const expected = takenBy(world.messages(TOPICS.anomalies))

    const other = new ScorerWorld(1, 1, world.config)
    other.fill(20)
    const { saved, stores } = watchedStores()
    other.checkpoints = stores
    const puppet = new Puppet(other)
    await puppet.start()
    await puppet.take(6)
    await until('a first checkpoint', () => saved.length > 0)
    const before = saved.at(-1) ?? 0
    const log = other.messages(TOPICS.samples)
    const told = other.messages(TOPICS.anomalies).length
    puppet.isCutOff = true
    await puppet.take(log.length)
    expect(other.messages(TOPICS.anomalies).length).toBe(told)
    expect(saved.at(-1)).toBe(before)
    puppet.isCutOff = false
    await until('it is written', () => {
      void puppet.release(1)
      return other.messages(TOPICS.anomalies).length >= expected.length
    })
    await puppet.revoke(true)
    expect(saved.at(-1)).toBe(log.length)
    expect(takenBy(other.messages(TOPICS.anomalies))).toEqual(expected)
  })

  it('the log in memory switched off and on: nothing is lost, and repeats are the same', async () => {
    const world = new ScorerWorld(2, 1)
    world.fill(10)
    const scorer = closes(world.scorer())
    await scorer.start()
    await until('scored', () => endOf(world, 0) === FROM_MS + 80_000 && endOf(world, 1) === FROM_MS + 80_000)
    world.fill(10, 8, FROM_MS + 100_000)
    world.log.reachable = false
    await new Promise(done => setTimeout(done, 50))
    world.log.reachable = true
    await until(
      'scored',
      () => endOf(world, 0) === FROM_MS + 180_000 && endOf(world, 1) === FROM_MS + 180_000,
    )
    for (const p of [0, 1]) {
      const ends = takenBy(world.messages(TOPICS.anomalies))
        .map(([name]) => name)
        .filter(name => name.startsWith(`${p}/`))
      // Each once and none left out, from the first word on how far it is.
      expect(ends).toEqual(Array.from({ length: 20 }, (_, i) => `${p}/${FROM_MS + (i - 1) * STEP_MS}/0`))
    }
  })

  it('Redis at a save: scoring goes on, and the next save catches up', async () => {
    const world = new ScorerWorld(1, 1, worldConfig({ checkpoint: { every: '20s' } }))
    world.fill(20)
    const inner = new MemoryCheckpointStores()
    let isAway = false
    const away: CheckpointStores = {
      claim: async name => {
        if (isAway) throw new ForeshockError('FS_IO', 'connection refused')
        const store = await inner.claim(name)
        const save = store.save.bind(store)
        store.save = checkpoint => {
          if (isAway) return Promise.reject(new ForeshockError('FS_IO', 'connection refused'))
          return save(checkpoint)
        }
        return store
      },
      close: async () => {},
    }
    const telemetry = new Telemetry()
    const puppet = new Puppet(world, { checkpoints: away, telemetry })
    await puppet.start()
    isAway = true
    await puppet.take(12)
    expect(endOf(world, 0)).toBe(FROM_MS + 100_000)
    expect(await telemetry.text()).toMatch(/checkpoint_failures_total{partition="0"} [1-9]/)
    isAway = false
    await puppet.take(100)
    await puppet.revoke(true)
    const next = new Puppet(world, { checkpoints: away })
    await next.start()
    expect(next.position).toBe(world.messages(TOPICS.samples).length)
    isAway = true
    const third = new Puppet(world, { checkpoints: away })
    await expect(third.start()).rejects.toThrow(/connection refused/)
  })
})

describe('members of a group', () => {
  it('share partitions and hand them over; every window is told once', async () => {
    const alone = new ScorerWorld(4, 1)
    alone.fill(30)
    const single = closes(alone.scorer())
    await single.start()
    await scored(alone, single)

    const world = new ScorerWorld(4, 1)
    const give = (from: number, to: number) => {
      for (let p = 0; p < 4; p++)
        for (const message of alone.messages(TOPICS.samples, p).slice(from, to))
          world.append({ ...message, partition: p })
    }
    const a = closes(world.scorer({ member: 'a' }))
    await a.start()
    give(0, 10)
    await scored(world, a)
    const b = closes(world.scorer({ member: 'b' }))
    await b.start()
    await until('shared', () => a.partitions.length === 2 && b.partitions.length === 2)
    give(10, 20)
    await scored(world, a, b)
    await a.close()
    await until('all are held', () => b.partitions.length === 4)
    give(20, 100)
    await scored(world, b)
    const byPartition = (from: ScorerWorld) =>
      takenBy(from.messages(TOPICS.anomalies)).sort(([x], [y]) => (x < y ? -1 : 1))
    expect(byPartition(world)).toEqual(byPartition(alone))
    // In order: nobody began anew.
    expect(reportsOf(world.messages(TOPICS.anomalies)).length).toBe(
      reportsOf(alone.messages(TOPICS.anomalies)).length,
    )
  })

  it('one that was taken over stops quietly', async () => {
    const world = new ScorerWorld(1, 1, worldConfig({ checkpoint: { every: '10s' } }))
    world.fill(12)
    const old = new Puppet(world)
    await old.start()
    await old.take(4)
    const heir = new Puppet(world)
    await heir.start()
    await old.take(6)
    const told = world.messages(TOPICS.anomalies).length
    await old.take(6)
    expect(world.messages(TOPICS.anomalies).length).toBe(told)
    await old.revoke(true)
    await heir.take(100)
    await heir.revoke(true)
    const third = new Puppet(world)
    await third.start()
    expect(third.position).toBe(world.messages(TOPICS.samples).length)
  })
})

describe('a partition that is let go', () => {
  it('is saved while the others take a message or so for each turn of the event loop that saving needs', async () => {
    const TURNS = 60
    const world = new ScorerWorld(8, 1)
    for (let step = 0, at = FROM_MS; step < 400; step++, at += STEP_MS) {
      const time = new Date(at).toISOString()
      const lines = Array.from({ length: 40 }, (_, i) =>
        JSON.stringify({ time, metric: 'queue_depth', labels: { service: `s${i}` }, value: step % 7 }),
      )
      world.body(lines.join('\n'), at + 1000)
    }
    const taken = () => scorer.partitions.reduce((sum, one) => sum + one.position, 0)
    const inner = world.checkpoints
    const meanwhile: number[] = []
    world.checkpoints = {
      claim: async name => {
        const store = await inner.claim(name)
        const save = store.save.bind(store)
        store.save = async checkpoint => {
          const before = taken()
          for (let i = 0; i < TURNS; i++) await turn()
          meanwhile.push(taken() - before)
          await save(checkpoint)
        }
        return store
      },
      close: () => inner.close(),
    }
    // A message takes five milliseconds of this clock.
    let elapsedMs = 0
    const scorer = closes(world.scorer({ elapsed: () => (elapsedMs += 5) }))
    await scorer.start()
    await until('it has begun', () => taken() > 80)
    const other = closes(world.scorer({ member: 'b' }))
    await other.start()
    await until('four are let go', () => meanwhile.length === 4)
    expect(taken()).toBeLessThan(0.9 * 8 * 400)
    // Those that are still held, one of which has each turn.
    expect(Math.max(...meanwhile)).toBeLessThanOrEqual(2 * TURNS)
  })

  it('needs not wait for the save that is under way, which is given up', async () => {
    const world = new ScorerWorld(1, 1, worldConfig({ checkpoint: { every: '40s' } }))
    world.fill(30)
    const inner = world.checkpoints
    const saved: number[] = []
    const telemetry = new Telemetry()
    let finish = () => {}
    const slow = new Promise<void>(done => {
      finish = done
    })
    let begun = 0
    world.checkpoints = {
      claim: async name => {
        const store = await inner.claim(name)
        const save = store.save.bind(store)
        store.save = async checkpoint => {
          // The first is read piece by piece and waits before the second.
          checkpoint.cut?.next(1024)
          if (++begun === 1) await slow
          await save(checkpoint)
          saved.push(checkpoint.position)
        }
        return store
      },
      close: () => inner.close(),
    }
    const puppet = new Puppet(world, { telemetry })
    await puppet.start()
    while (begun === 0) await puppet.take(1)
    await puppet.take(3)
    const position = puppet.position
    const revoked = puppet.revoke(true)
    finish()
    await revoked
    expect(begun).toBe(2)
    expect(saved).toEqual([position])
    expect(await telemetry.text()).not.toMatch(/^foreshock_partition_checkpoint_failures_total.* [1-9]/m)
    const heir = new Puppet(world)
    await heir.start()
    expect(heir.position).toBe(position)
  })
})

describe('messages', () => {
  it('that were passed on twice count once', async () => {
    const world = new ScorerWorld(1, 1)
    const line = (timeMs: number) =>
      new TextEncoder().encode(
        JSON.stringify({ time: timeMs, metric: 'cpu_ratio', labels: { service: 'a' }, value: 0.5 }),
      )
    const send = (i: number, origin: string) =>
      world.samples(
        { partition: 0, value: line(FROM_MS + i * STEP_MS), timestampMs: FROM_MS + i * STEP_MS + 1000 },
        { [HEADERS.origin]: origin },
      )
    send(0, 'samples/3/100/0')
    send(1, 'samples/3/100/1')
    // The other owner was restored and passes on again.
    send(2, 'samples/3/100/0')
    send(3, 'samples/3/100/1')
    send(4, 'samples/3/101/0')
    send(5, 'samples/2/5/0')
    const telemetry = new Telemetry()
    const puppet = new Puppet(world, { telemetry })
    await puppet.start()
    await puppet.take(3)
    await puppet.revoke(true)
    const next = new Puppet(world, { telemetry })
    await next.start()
    await next.take(100)
    const { parts } = next.scorer.partitions[0]
    expect(parts.series.size).toBe(1)
    const text = await telemetry.text()
    expect(text).toMatch(/partition_repeats_total{partition="0"} 2/)
    expect(text).toMatch(/samples_total{kind="columns"} 4/)
  })

  it('of foreign producers are split by entity: what belongs elsewhere is passed on, and counts once', async () => {
    const world = new ScorerWorld(3, 1)
    const services = ['edge', 'checkout', 'search', 'payments', 'inventory', 'store']
    for (let i = 0; i < 6; i++) {
      const timeMs = FROM_MS + i * STEP_MS
      const lines = services.map(service =>
        JSON.stringify({ time: timeMs, metric: 'cpu_ratio', labels: { service }, value: 0.1 * i }),
      )
      const value = new TextEncoder().encode(lines.join('\n'))
      world.samples({ partition: i % 3, value, timestampMs: timeMs + 1000 }, {})
    }
    const scorer = closes(world.scorer())
    await scorer.start()
    await until(
      'all is passed on and scored',
      () => scorer.partitions.reduce((all, { parts }) => all + parts.series.size, 0) === 6,
    )
    for (const { partition, parts } of scorer.partitions) {
      for (const [, { entity, tenant }] of parts.series.metas())
        expect(partitionOf(entityKey(tenant, entity), 3)).toBe(partition)
    }
    expect(scorer.partitions.reduce((sum, { parts }) => sum + parts.series.size, 0)).toBe(6)
    // A scorer that is closed leaves the rest of its batch to the next: here it has passed on all of it.
    await scored(world, scorer)
    // All of it was passed on by owners that did not know what their predecessors had done.
    await scorer.close()
    const telemetry = new Telemetry()
    world.checkpoints = new MemoryCheckpointStores()
    const again = closes(world.scorer({ telemetry }))
    const before = [0, 1, 2].reduce((all, p) => all + world.messages(TOPICS.samples, p).length, 0)
    await again.start()
    const length = () => [0, 1, 2].reduce((all, p) => all + world.messages(TOPICS.samples, p).length, 0)
    await until('it is passed on again', () => length() - before === before - 6)
    await scored(world, again)
    const repeats = [...(await telemetry.text()).matchAll(/partition_repeats_total{partition="\d"} (\d+)/g)]
    const passedOn = [
      ...(await telemetry.text()).matchAll(/partition_passed_on_total{partition="\d"} (\d+)/g),
    ]
    const sum = (found: RegExpMatchArray[]) => found.reduce((all, [, count]) => all + Number(count), 0)
    expect(sum(passedOn)).toBeGreaterThan(5)
    expect(sum(repeats)).toBe(sum(passedOn))
    expect(() => takenBy(world.messages(TOPICS.anomalies))).not.toThrow()
    expect(world.messages(TOPICS.deadLetters)).toEqual([])
  })

  it('that cannot be read are buried with their bytes', async () => {
    const world = new ScorerWorld(2, 1)
    const value = new TextEncoder().encode('?!')
    world.samples({ partition: 0, value, timestampMs: FROM_MS, tenant: 'acme' }, { mine: 'yes' })
    world.samples({ partition: 0, value, timestampMs: FROM_MS + 1 }, { [HEADERS.content]: 'novel' })
    world.samples({ partition: 0, value, timestampMs: FROM_MS + 2 }, { [HEADERS.content]: CONTENT.model })
    world.samples({ partition: 0, value, timestampMs: FROM_MS + 3 }, { [HEADERS.origin]: 'from afar' })
    world.samples({ partition: 0, value, timestampMs: FROM_MS + 4 })
    const puppet = new Puppet(world)
    await puppet.start()
    await puppet.take(100)
    await puppet.revoke(true)
    const dead = world.messages(TOPICS.deadLetters)
    expect(dead.map(({ headers }) => headers['foreshock-reason'])).toEqual([
      expect.stringMatching(/neither|not|no /),
      'content "novel" is not read from samples',
      'not a model order: no JSON',
      expect.stringMatching(/is no origin/),
      expect.stringMatching(/FS_INPUT_INVALID/),
    ])
    expect(dead[0].headers).toMatchObject({
      mine: 'yes',
      [HEADERS.tenant]: 'acme',
      [HEADERS.origin]: 'samples/0/0/0',
      'foreshock-topic': 'samples',
      'foreshock-partition': '0',
      'foreshock-offset': '0',
    })
    expect(Buffer.from(dead[0].value).toString()).toBe('?!')
    expect(puppet.position).toBe(5)
  })

  it('of anomalies are CloudEvents beside the reports', async () => {
    const world = new ScorerWorld(1, 1)
    world.fill(80)
    const puppet = new Puppet(world)
    await puppet.start()
    while (await puppet.take(100)) {}
    await puppet.revoke(true)
    const events = world
      .messages(TOPICS.anomalies)
      .filter(({ headers }) => headers[HEADERS.content] === undefined)
    expect(events.length).toBeGreaterThan(0)
    for (const { key, headers, value } of events) {
      expect(key).toBe('default')
      expect(headers.ce_type).toMatch(/^io\.foreshock\.anomaly\.(opened|closed)\.v1$/)
      const data = JSON.parse(Buffer.from(value).toString())
      expect(headers.ce_id).toBe(`${data.id}.${headers.ce_type.split('.')[3]}`)
      expect(data.series).toBeUndefined()
      expect(data.key).toContain('{')
    }
    expect(new Set(events.map(({ headers }) => headers.ce_id)).size).toBe(events.length)
  })
})

describe('a checkpoint', () => {
  it('of another layout is passed over; the reports begin a new epoch where the log goes on', async () => {
    const world = new ScorerWorld(1, 1)
    world.fill(12)
    const first = new Puppet(world)
    await first.start()
    await first.take(6)
    await first.revoke(true)
    const other = new ScorerWorld(1, 1, worldConfig({ features: { step: '20s' } }))
    for (const message of world.messages(TOPICS.samples)) other.append(message)
    other.checkpoints = world.checkpoints
    const puppet = new Puppet(other)
    await puppet.start()
    expect(puppet.position).toBe(6)
    await puppet.take(100)
    const [message] = other.messages(TOPICS.anomalies)
    expect(windowHeader(message.value)).toMatchObject({ epoch: 6 })
  })

  it('is shown with how the partition stands, until another holds it', async () => {
    const detection = { budgets: [{ name: 'all', alertsPerWeek: 3 }], rules: [{ metric: '*' }] }
    const world = new ScorerWorld(1, 1, worldConfig({ checkpoint: { every: '20s' }, detection }))
    world.fill(12)
    const telemetry = new Telemetry()
    const puppet = new Puppet(world, { telemetry })
    await puppet.start()
    await puppet.take(10)
    await puppet.scorer.tick()
    const log = world.messages(TOPICS.samples).length
    const text = await telemetry.text()
    expect(text).toMatch(/^foreshock_series 29$/m)
    expect(text).toMatch(/^foreshock_series_limit [1-9]\d*$/m)
    expect(text).toContain('foreshock_alerts_promised_per_week{budget="all"} 3')
    expect(text).toContain('foreshock_alerts_achieved_per_week{budget="all"} 0')
    expect(text).toMatch(/^foreshock_rule_series{rule="[^"]+"} 29$/m)
    expect(text).toContain('foreshock_dead_letters_total{topic="samples"} 0')
    expect(text).toContain(`foreshock_partition_lag{partition="0"} ${log - 10}`)
    expect(text).toContain(`foreshock_partition_watermark_seconds{partition="0"} ${endOf(world, 0) / 1000}`)
    expect(text).toMatch(/foreshock_partition_series{partition="0"} 29/)
    expect(text).toMatch(/foreshock_partition_checkpoint_time_seconds{partition="0"} 17000000/)
    expect(text).toMatch(/foreshock_partition_checkpoint_bytes{partition="0"} \d{4,}/)
    expect(text).toMatch(/foreshock_partition_replayed_windows_total{partition="0"} [1-9]/)
    await puppet.revoke(true)
    expect(await telemetry.text()).not.toContain('foreshock_partition_lag{')
    await puppet.scorer.tick()
    expect(await telemetry.text()).toMatch(/^foreshock_series 0$/m)
    expect(await telemetry.text()).not.toContain('foreshock_alerts_promised_per_week{')
  })

  it('a batch that the engine cannot read is buried as it is, and the partition goes on', async () => {
    const world = new ScorerWorld(1, 1)
    world.fill(4)
    const other = new ScorerWorld(1, 1)
    other.fill(4)
    const log = other.log.topic(TOPICS.samples)[0]
    const at = log.length - 1
    const fault = 'the batch of offsets 2 to 3 cannot be read: its checksum does not fit its bytes'
    const damaged = { ...log[at], headers: {}, value: Buffer.from('damaged'), fault }
    // Where it stood nothing else does: what comes after it has the next offset.
    log.splice(at, 1, damaged, { ...log[at], offset: at + 1 })
    for (const one of [world, other]) {
      const puppet = new Puppet(one)
      await puppet.start()
      await puppet.take(100)
      await puppet.revoke(true)
    }
    const [letter, ...more] = other.messages(TOPICS.deadLetters)
    expect(more).toEqual([])
    expect(letter.headers).toMatchObject({ 'foreshock-reason': fault, 'foreshock-offset': String(at) })
    expect(Buffer.from(letter.value).toString()).toBe('damaged')
    expect(takenBy(other.messages(TOPICS.anomalies))).toEqual(takenBy(world.messages(TOPICS.anomalies)))
  })
})

describe('limits', () => {
  it('are those of the fleet; every partition has its share, and all together hold no more', async () => {
    const config = worldConfig({
      ingest: { entityLabels: ['service'], maxSeries: 40 },
      detection: { pool: { size: 10 }, memory: '12 MiB', models: { size: 0 } },
    })
    const share = partitionShare(config, 4)
    expect(share.ingest.maxSeries).toBe(13)
    expect(share.detection.pool.size).toBe(3)
    expect(share.detection.models.size).toBe(0)
    expect(4 * share.detection.memory).toBe(config.detection.memory)
    expect(4 * share.features.historyBudget).toBe(config.features.historyBudget)
    expect(partitionShare(config, 1)).toEqual(config)

    const world = new ScorerWorld(4, 1, config)
    world.fill(3)
    const scorer = closes(world.scorer())
    await scorer.start()
    await until('scored', () =>
      scorer.partitions.every(one => one.position === world.messages(TOPICS.samples, one.partition).length),
    )
    for (const { parts } of scorer.partitions) {
      expect(parts.series.limit).toBe(13)
      expect(parts.series.size).toBeLessThanOrEqual(13)
    }
  })
})
