// Shows that one partition of the disruption stage is a function of its log: killed at any message, before, in or after a
// transaction, put back from any checkpoint or from none, the record and what the world is told are byte for byte those of
// an undisturbed run. Then what the log decides: silent partitions, changes, orders, messages that nobody can read.
import { pino } from 'pino'
import { beforeAll, describe, expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { type WindowHeader, windowHeader } from '../../src/bus/window-report.ts'
import { WindowWriter } from '../../src/bus/window-report-writer.ts'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import {
  CONTENT,
  HEADERS,
  type StoredMessage,
  type Streams,
  type StreamTransactor,
  TOPICS,
} from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { StagePartition, type StagePorts } from '../../src/roles/stage-partition.ts'
import { MemoryCheckpointStores } from '../../src/store/memory-checkpoint-stores.ts'
import { StreamRecord } from '../../src/store/stream-record.ts'
import { event } from '../store/samples.ts'
import { atFault, CONFIG, recordedLog, SAMPLES } from './fleet-world.ts'

/** A stage's partition over a log that is filled as it goes. */
class Run {
  readonly log = new MemoryLog({
    topics: {
      [TOPICS.anomalies]: 1,
      [TOPICS.record]: 1,
      [TOPICS.disruptions]: 1,
      [TOPICS.deadLetters]: 1,
      [TOPICS.samples]: SAMPLES,
    },
  })
  checkpoints = new MemoryCheckpointStores()
  readonly telemetry = new Telemetry()
  nowMs = atFault
  /** What happens to a transaction. */
  strike: 'before' | 'after' | undefined

  streams(): Streams {
    const streams = new MemoryStreams(this.log)
    const transactor = streams.transactor.bind(streams)
    streams.transactor = async name => {
      const real = await transactor(name)
      const struck: StreamTransactor = {
        send: async sends => {
          if (this.strike === 'before') throw new Error('killed')
          await real.send(sends)
          if (this.strike === 'after') throw new Error('killed')
        },
        close: () => real.close(),
      }
      return struck
    }
    return streams
  }

  async open(options: Partial<StagePorts> = {}): Promise<{ stage: StagePartition; from: number }> {
    const streams = this.streams()
    return StagePartition.open(
      {
        config: CONFIG,
        streams,
        checkpoints: this.checkpoints,
        producer: await streams.producer(),
        telemetry: this.telemetry,
        logger: pino({ level: 'silent' }),
        clock: () => this.nowMs,
        source: 'foreshock',
        samplesPartitions: SAMPLES,
        patienceMs: 60_000,
        ...options,
      },
      0,
    )
  }

  put(messages: readonly StoredMessage[]): void {
    this.log.append(
      messages.map(({ topic, ...message }) => ({
        topic,
        message: { ...message, key: message.key, partition: message.partition },
      })),
    )
  }

  get anomalies(): readonly StoredMessage[] {
    return this.log.topic(TOPICS.anomalies)[0]
  }

  /** Hands over what is there from an offset on, some at a time. */
  async hand(stage: StagePartition, from: number, to = this.anomalies.length, size = 50): Promise<void> {
    for (let at = from; at < to; at += size)
      await stage.take(this.anomalies.slice(at, Math.min(to, at + size)), this.anomalies.length)
  }

  told(topic: string): string[] {
    return this.log
      .topic(topic)
      .flat()
      .map(({ key, value, headers }) => JSON.stringify([key, headers, Buffer.from(value).toString()]))
  }
}

let recorded: StoredMessage[]
let record: string[]
let told: string[]

beforeAll(async () => {
  recorded = await recordedLog()
  const run = new Run()
  run.put(recorded)
  const { stage, from } = await run.open()
  await run.hand(stage, from)
  record = run.told(TOPICS.record)
  told = run.told(TOPICS.disruptions)
}, 60_000)

describe('one partition of the disruption stage', () => {
  it('finds the disruption, with the change, and records what people did', () => {
    const text = record.join('\n')
    expect(text).toContain('maintenance.post')
    expect(text).toContain('chg-1')
    expect(record.filter(line => line.includes('chg-1') && line.includes('type\\":\\"change'))).toHaveLength(
      1,
    )
    expect(told.map(line => JSON.parse(line)[1].ce_type)).toEqual(
      expect.arrayContaining(['io.foreshock.disruption.opened.v1', 'io.foreshock.disruption.resolved.v1']),
    )
    expect(JSON.parse(JSON.parse(told[0])[2]).changes[0]?.id).toBe('chg-1')
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'killed again and again, tells the same: %i',
    { timeout: 60_000 },
    async seed => {
      const random = mulberry32(seed)
      const run = new Run()
      let kills = 0
      for (let done = false; !done; ) {
        run.strike = undefined
        let { stage, from: at } = await run.open()
        try {
          for (; !done; done = at >= recorded.length) {
            const size = 1 + Math.floor(random() * 100)
            const to = Math.min(recorded.length, at + size)
            if (to > run.anomalies.length) run.put(recorded.slice(run.anomalies.length, to))
            if (kills < 30 && random() < 0.3) run.strike = random() < 0.5 ? 'before' : 'after'
            await run.hand(stage, at, to, 1 + Math.floor(random() * size))
            run.strike = undefined
            at = to
            // Killed between two batches, with or without a checkpoint.
            if (random() < 0.3) await stage.save(run.nowMs)
            if (kills < 30 && random() < 0.15) throw new Error('killed')
            // Redis was emptied.
            if (kills >= 30 || random() > 0.02) continue
            run.checkpoints = new MemoryCheckpointStores()
            throw new Error('killed')
          }
        } catch (error) {
          if ((error as Error).message !== 'killed') throw error
          kills++
        }
      }
      expect(kills).toBeGreaterThan(2)
      expect(run.told(TOPICS.record)).toEqual(record)
      expect(run.told(TOPICS.disruptions)).toEqual(told)
    },
  )

  it('is shut out once another has taken over, and has told nothing twice', async () => {
    const run = new Run()
    const { stage: former, from } = await run.open()
    run.put(recorded)
    const half = Math.floor(recorded.length / 2)
    await run.hand(former, from, half)
    const { stage: present, from: again } = await run.open()
    await expect(former.save(run.nowMs)).rejects.toMatchObject({ code: 'FS_FENCED' })
    await expect(run.hand(former, half)).rejects.toMatchObject({ code: 'FS_FENCED' })
    await run.hand(present, again)
    expect(run.told(TOPICS.record)).toEqual(record)
    expect(run.told(TOPICS.disruptions)).toEqual(told)
  })

  it('takes back what is open in the record and that it knows nothing of', async () => {
    const run = new Run()
    const before = await StreamRecord.open({ streams: run.streams(), name: 'stage-0', partition: 0 })
    const opened = event('dis_lost')
    await before.append(opened.id, opened.timeMs, { type: 'disruption', event: opened })
    await run.open()
    const [, retracted] = run.told(TOPICS.record)
    expect(retracted).toContain('"retracted\\"')
    expect(run.told(TOPICS.disruptions)).toHaveLength(1)
    await run.open()
    expect(run.told(TOPICS.record)).toHaveLength(2)
  })

  it('goes on without a scorer that is silent, once the log says so, and counts what that one tells late', async () => {
    const run = new Run()
    const { stage } = await run.open()
    const until = recorded.findIndex(one => one.timestampMs > atFault)
    const isOf = (one: StoredMessage, p: number) =>
      one.headers[HEADERS.content] === CONTENT.window && one.value[1] === p
    run.put(recorded.slice(0, until))
    await run.hand(stage, 0)
    const reached = stage.mergedMs
    const rest = recorded.slice(until)
    run.put(rest.filter(one => !isOf(one, 2)))
    await run.hand(stage, until)
    const waits = stage.mergedMs
    // As far as the silent one has told, and no further; how far it was beside the others when it fell silent is chance.
    const toldBySilent = recorded.slice(0, until).filter(one => isOf(one, 2))
    const ends = toldBySilent.map(({ value }) => windowHeader(value) as WindowHeader)
    expect(waits).toBe(Math.max(...ends.map(one => one.windowEndMs)))
    expect(waits).toBeGreaterThanOrEqual(reached)
    run.nowMs += 59_000
    await stage.watch(run.nowMs)
    expect(run.anomalies.at(-1)?.headers[HEADERS.content]).not.toBe(CONTENT.seal)
    run.nowMs += 2000
    await stage.watch(run.nowMs)
    await stage.watch(run.nowMs)
    expect(run.anomalies.at(-1)?.headers[HEADERS.content]).toBe(CONTENT.seal)
    expect(run.anomalies.at(-2)?.headers[HEADERS.content]).not.toBe(CONTENT.seal)
    // Nothing has changed until it is read.
    expect(stage.mergedMs).toBe(waits)
    await run.hand(stage, run.anomalies.length - 1)
    expect(stage.mergedMs).toBeGreaterThan(waits + 600_000)
    const sealed = run.anomalies.length
    run.put(rest.filter(one => isOf(one, 2)))
    await run.hand(stage, sealed)
    stage.report()
    const text = await run.telemetry.text()
    const late = Number(/foreshock_stage_late_windows_total\{partition="0"\} (\d+)/.exec(text)?.[1])
    expect(late).toBeGreaterThan(60)
    expect(text).toMatch(/foreshock_stage_away\{partition="0"\} 0/)
    // Whatever was decided is in the log: who reads it later decides the same.
    const later = new Run()
    later.put(run.anomalies)
    const { stage: reader } = await later.open()
    await later.hand(reader, 0, undefined, 7)
    expect(later.told(TOPICS.record)).toEqual(run.told(TOPICS.record))
  })

  it('buries what nobody can read, as it came, and goes on', async () => {
    const run = new Run()
    const bad = (content: string | undefined, text: string): StoredMessage => ({
      topic: TOPICS.anomalies,
      partition: 0,
      offset: 0,
      key: 'k',
      value: Buffer.from(text),
      headers: content === undefined ? {} : { [HEADERS.content]: content },
      timestampMs: 5,
    })
    const messages = [
      bad(CONTENT.window, 'x'),
      bad(CONTENT.seal, '{"windowEndMs":"soon"}'),
      bad(CONTENT.change, 'no change'),
      bad(CONTENT.maintenance, '[]'),
      bad(CONTENT.maintenance, '{"op":"add","window":{"id":"w"}}'),
      // A zone that another version may know.
      bad(
        CONTENT.maintenance,
        '{"op":"add","window":{"id":"w","tenant":"default","entities":["*"],"times":{"zone":"Moon/Tycho"}}}',
      ),
      bad(CONTENT.audit, '{}'),
      bad(CONTENT.audit, '{"timeMs":1e300,"who":"ann","action":"look"}'),
      bad(undefined, 'hello'),
      bad('other', 'hello'),
    ]
    run.put([...messages, ...recorded])
    const { stage, from } = await run.open()
    await run.hand(stage, from)
    const letters = run.log.topic(TOPICS.deadLetters)[0]
    expect(letters.map(one => [one.headers[HEADERS.origin], Buffer.from(one.value).toString()])).toEqual(
      messages.map((one, i) => [`anomalies/0/${i}/0`, Buffer.from(one.value).toString()]),
    )
    for (const letter of letters) expect(letter.headers['foreshock-reason']).not.toBe('')
    expect(run.told(TOPICS.disruptions)).toEqual(told)
  })

  it('closes what was open at a scorer that began anew', async () => {
    const run = new Run()
    const { stage } = await run.open()
    run.put(recorded)
    let until = 0
    while (stage.parts.disruptions.openAnomalies().length === 0) {
      await run.hand(stage, until, until + 10)
      until += 10
    }
    const open = stage.parts.disruptions.openAnomalies()
    const series = new SeriesTable(1)
    for (let p = 0; p < SAMPLES; p++) {
      const options = { samplesPartition: p, anomaliesPartitions: 1, stepMs: 10_000, epoch: 1_000_000 }
      const parts = new WindowWriter(options, series).write(
        featureBatch(0, 0),
        opinionBatch(0),
        [],
        atFault,
        true,
      )
      run.put(
        parts.map(({ bytes: value }) => ({
          ...recorded[0],
          value,
          headers: { [HEADERS.content]: CONTENT.window },
          timestampMs: atFault,
        })),
      )
    }
    await run.hand(stage, recorded.length)
    expect(stage.parts.disruptions.openAnomalies()).toEqual([])
    const closed = run.told(TOPICS.record).filter(line => line.includes('event\\":\\"closed'))
    for (const { id } of open) expect(closed.some(line => line.includes(`${id}.closed`))).toBe(true)
  })
})
