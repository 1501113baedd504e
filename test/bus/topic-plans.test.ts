// Shows, on a real Kafka, that the topics of a fleet are made once with the settings they need, and that a fleet which
// finds them missing or with another number of partitions is told what to do, by the check at a start and by the command.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { describeTopics } from '../../src/bus/kafka-topics.ts'
import { checkTopics, createFleetTopics, topicPlans } from '../../src/bus/topic-plans.ts'
import { addTopicsCommand } from '../../src/commands/topics.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { printed } from '../commands/printed.ts'
import { kafka, kafkaOptions } from '../peers/kafka.ts'

const PLAN = { partitions: { samples: 4, anomalies: 2 }, replication: 1 }

afterEach(() => {
  process.exitCode = undefined
})

const topics = (...words: readonly string[]) => printed(addTopicsCommand, ['topics', ...words])

describe('topics of a fleet', () => {
  it('are made once, with what each needs', async context => {
    const engine = kafkaOptions(await kafka(context))
    expect(await createFleetTopics(engine, PLAN)).toEqual(Object.values(TOPICS))
    expect(await createFleetTopics(engine, PLAN)).toEqual([])
    expect(await checkTopics(engine, PLAN)).toEqual([])
    const states = await describeTopics(engine, Object.values(TOPICS))
    const of = (name: string) => states.find(state => state.name === name)
    expect(of(TOPICS.samples)).toMatchObject({ partitions: 4, replication: 1 })
    expect(of(TOPICS.samples)?.config).toMatchObject({
      'retention.ms': '86400000',
      'compression.type': 'producer',
      'min.insync.replicas': '1',
    })
    expect(of(TOPICS.record)).toMatchObject({ partitions: 2 })
    expect(of(TOPICS.record)?.config['retention.ms']).toBe('-1')
    expect(of(TOPICS.control)?.config['cleanup.policy']).toBe('compact')
  })

  it('wrong and missing ones are told with what to do, those that only should be otherwise as warnings', async context => {
    const engine = kafkaOptions(await kafka(context))
    const missing = checkTopics(engine, PLAN)
    await expect(missing).rejects.toMatchObject({ code: 'FS_BUS_TOPIC' })
    await expect(missing).rejects.toThrow(
      `topic ${engine.prefix}samples is missing: run \`foreshock topics create\``,
    )
    await createFleetTopics(engine, PLAN)
    await expect(checkTopics(engine, { ...PLAN, partitions: { samples: 8, anomalies: 2 } })).rejects.toThrow(
      /samples has 4 partitions, not 8: set cluster.partitions.samples to 4; or, for 8, start a new fleet/,
    )
    const warned = await checkTopics(engine, { ...PLAN, replication: 3 })
    expect(warned[0]).toBe(
      `topic ${engine.prefix}samples: 1 copies of each partition, not 3 as cluster.replication says`,
    )
  })

  it('more copies than there are brokers are refused with what to do', async context => {
    const engine = kafkaOptions(await kafka(context))
    const asked = createFleetTopics(engine, { ...PLAN, replication: 3 })
    await expect(asked).rejects.toMatchObject({ code: 'FS_BUS_TOPIC' })
    await expect(asked).rejects.toThrow(/set cluster.replication lower/)
  })

  it('with three copies, two must have a message before it counts as written', () => {
    const plans = topicPlans({ partitions: { samples: 1, anomalies: 1 }, replication: 3 })
    expect(plans.map(({ config }) => config['min.insync.replicas'])).toEqual(plans.map(() => '2'))
  })

  it('the command makes, checks and lists them', async context => {
    const engine = kafkaOptions(await kafka(context))
    const folder = mkdtempSync(join(tmpdir(), 'foreshock-topics-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'foreshock.yaml')
    const config = {
      cluster: {
        kafka: { brokers: engine.brokers, prefix: engine.prefix },
        redis: { url: 'redis://127.0.0.1:1/0' },
        postgres: { url: 'postgres://nobody@127.0.0.1:1/none' },
        ...PLAN,
      },
    }
    writeFileSync(file, JSON.stringify(config))
    expect(await topics('check', '--config', file)).toContain('is missing: run')
    expect(process.exitCode).toBe(1)
    process.exitCode = undefined
    const made = await topics('create', '--config', file)
    expect(made.trim().split('\n').length).toBe(7)
    expect(made).toMatch(/\.samples +made/)
    expect(await topics('create', '--config', file)).toMatch(/\.samples +was there/)
    expect(await topics('check', '--config', file)).toMatch(/\.record +ok/)
    expect(process.exitCode).toBe(undefined)
    const listed = await topics('list', '--config', file)
    expect(listed).toMatch(/\.samples +4 partitions, 1 copy, keeps 24 hours/)
    expect(listed).toMatch(/\.control +1 partitions, 1 copy, keeps the latest of each key/)
    const json = JSON.parse(await topics('check', '--json', '--config', file))
    expect(json.topics.length).toBe(7)
    writeFileSync(file, '{}')
    await expect(topics('list', '--config', file)).rejects.toThrow(/no section cluster/)
  })
})
