import { ForeshockError } from '../core/errors.ts'
import { TOPICS } from '../core/stream.ts'
import { MESSAGE_BYTES_MAX } from './kafka-streams.ts'
import { createTopics, describeTopics, type TopicEngine, type TopicPlan } from './kafka-topics.ts'

export interface TopicsConfig {
  /** Partitions of `samples` and of `anomalies`. */
  readonly partitions: { readonly samples: number; readonly anomalies: number }
  /** Copies of every partition. */
  readonly replication: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** What Kafka adds to a message, bytes, with room to spare. */
const OVERHEAD_BYTES = 64 * 1024

/** Kept for ever. */
const FOREVER = { 'retention.ms': '-1', 'retention.bytes': '-1' }

/**
 * The topics of a fleet. Samples and windows are kept for as long as a fleet may be down or be rolled back without losing
 * any: what is older is in checkpoints. The record and what was told to the world are kept for ever; the record is what the
 * index is built from.
 */
export function topicPlans({ partitions, replication }: TopicsConfig): TopicPlan[] {
  const every = {
    // One copy may be away. With one copy there is none to be away.
    'min.insync.replicas': String(Math.max(1, replication - 1)),
    // As it was written: the producer's choice, cluster.kafka.compression.
    'compression.type': 'producer',
    'message.timestamp.type': 'CreateTime',
    'max.message.bytes': String(MESSAGE_BYTES_MAX + OVERHEAD_BYTES),
    'unclean.leader.election.enable': 'false',
  }
  const kept = (ms: number) => ({
    'cleanup.policy': 'delete',
    'retention.ms': String(ms),
    // Kafka drops whole segments: they are closed often enough for that.
    'segment.ms': String(Math.min(HOUR_MS, ms)),
  })
  const plan = (name: string, count: number, config: Readonly<Record<string, string>>): TopicPlan => ({
    name,
    partitions: count,
    replication,
    config: { ...every, ...config },
  })
  const { samples, anomalies } = partitions
  return [
    plan(TOPICS.samples, samples, kept(DAY_MS)),
    plan(TOPICS.anomalies, anomalies, kept(3 * DAY_MS)),
    plan(TOPICS.disruptions, anomalies, { 'cleanup.policy': 'delete', ...FOREVER }),
    plan(TOPICS.changes, anomalies, kept(30 * DAY_MS)),
    plan(TOPICS.control, 1, {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.1',
      'segment.ms': String(DAY_MS),
    }),
    plan(TOPICS.deadLetters, 1, { ...kept(30 * DAY_MS), 'retention.bytes': String(1024 ** 3) }),
    plan(TOPICS.record, anomalies, { 'cleanup.policy': 'delete', ...FOREVER }),
  ]
}

/** Makes what is missing; the topics made. Topics that are there are left as they are, right or wrong. */
export function createFleetTopics(engine: TopicEngine, config: TopicsConfig): Promise<string[]> {
  return createTopics(engine, topicPlans(config))
}

/** A topic of the fleet, and what is wrong with it. */
export interface TopicFinding {
  readonly name: string
  readonly partitions: number
  readonly replication: number
  readonly retentionMs: number | undefined
  /** A fleet cannot run on it. */
  readonly wrong: string | undefined
  /** It can, but should not. */
  readonly warning: string | undefined
}

/** Every topic that the fleet needs, as it is. */
export async function lookAtTopics(engine: TopicEngine, config: TopicsConfig): Promise<TopicFinding[]> {
  const plans = topicPlans(config)
  const states = await describeTopics(
    engine,
    plans.map(({ name }) => name),
  )
  return plans.map(plan => {
    const state = states.find(({ name }) => name === plan.name)
    const retention = Number(state?.config['retention.ms'])
    return {
      name: plan.name,
      partitions: state?.partitions ?? 0,
      replication: state?.replication ?? 0,
      retentionMs: Number.isFinite(retention) ? retention : undefined,
      wrong: wrongWith(engine.prefix, plan, state?.partitions),
      warning: state === undefined ? undefined : warningAbout(plan, state.replication, state.config),
    }
  })
}

function wrongWith(prefix: string, plan: TopicPlan, partitions: number | undefined): string | undefined {
  const topic = prefix + plan.name
  if (partitions === undefined) return `topic ${topic} is missing: run \`foreshock topics create\``
  if (partitions === plan.partitions) return undefined
  const key = plan.name === TOPICS.samples ? 'samples' : 'anomalies'
  const fixed = plan.name === TOPICS.control || plan.name === TOPICS.deadLetters
  const text = `topic ${topic} has ${partitions} partitions, not ${plan.partitions}`
  if (fixed) return undefined
  return `${text}: set cluster.partitions.${key} to ${partitions}; or, for ${plan.partitions}, start a new fleet with another cluster.kafka.prefix, cluster.redis.prefix and cluster.postgres.schema (keys move to other partitions when their number changes, so what was learned stays behind)`
}

function warningAbout(
  plan: TopicPlan,
  replication: number,
  config: Readonly<Record<string, string>>,
): string | undefined {
  if (replication < plan.replication)
    return `${replication} copies of each partition, not ${plan.replication} as cluster.replication says`
  const cleanup = plan.config['cleanup.policy']
  if (config['cleanup.policy'] !== undefined && config['cleanup.policy'] !== cleanup)
    return `cleanup.policy is ${config['cleanup.policy']}, not ${cleanup}`
  if (plan.config['retention.ms'] === '-1' && Number(config['retention.ms']) >= 0)
    return 'retention.ms is limited: what is dropped cannot be indexed again'
  if (Number(config['max.message.bytes']) < MESSAGE_BYTES_MAX)
    return `max.message.bytes is ${config['max.message.bytes']}, less than the ${MESSAGE_BYTES_MAX} that messages may have`
  if (config['message.timestamp.type'] === 'LogAppendTime')
    return 'message.timestamp.type is LogAppendTime: the times that messages came about are lost'
  return undefined
}

/**
 * Asked at every start of a role. Rejects with FS_BUS_TOPIC and what to do, one line a topic; resolves to what a fleet can
 * live with but should not.
 */
export async function checkTopics(engine: TopicEngine, config: TopicsConfig): Promise<string[]> {
  const findings = await lookAtTopics(engine, config)
  const wrong = findings.flatMap(one => one.wrong ?? [])
  if (wrong.length > 0) throw new ForeshockError('FS_BUS_TOPIC', wrong.join('\n'))
  return findings.flatMap(({ name, warning }) =>
    warning === undefined ? [] : [`topic ${engine.prefix}${name}: ${warning}`],
  )
}
