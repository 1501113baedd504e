import { hostname } from 'node:os'
import type { Command } from 'commander'
import { createFleetTopics, lookAtTopics, type TopicFinding, topicPlans } from '../bus/topic-plans.ts'
import type { ClusterConfig } from '../config/cluster.ts'
import { kafkaOptions } from '../config/kafka.ts'
import { loadConfig } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'

interface Options {
  readonly config?: string
  readonly json?: boolean
}

/** The part of the configuration about many machines; the command makes no sense without. */
export function clusterConfig(file: string | undefined): ClusterConfig {
  const { cluster } = loadConfig({ file })
  if (cluster !== undefined) return cluster
  throw new ForeshockError(
    'FS_CONFIG_INVALID',
    'the configuration has no section cluster: one process needs no Kafka; --config names another file',
  )
}

export function addTopicsCommand(cli: Command): void {
  const topics = cli
    .command('topics')
    .description('the topics of Kafka that a fleet works on: made, checked, listed')
  const add = (name: string, text: string, run: (options: Options) => Promise<void>) =>
    topics
      .command(name)
      .description(text)
      .option('--config <file>', 'configuration file')
      .option('--json', 'print JSON')
      .action(run)
  add('create', 'makes the topics that are missing, and leaves the others as they are', create)
  add(
    'check',
    'whether the topics are as the configuration says; exit 1 when a fleet cannot run on them',
    check,
  )
  add('list', 'the topics as they are', list)
}

async function create({ config, json }: Options): Promise<void> {
  const cluster = clusterConfig(config)
  const engine = kafkaOptions(cluster, clientId(cluster))
  const made = new Set(await createFleetTopics(engine, cluster))
  const findings = await lookAtTopics(engine, cluster)
  print(engine.prefix, findings, json, ({ name, wrong }) =>
    made.has(name) ? 'made' : (wrong ?? 'was there'),
  )
  fail(findings)
}

async function check({ config, json }: Options): Promise<void> {
  const cluster = clusterConfig(config)
  const engine = kafkaOptions(cluster, clientId(cluster))
  const findings = await lookAtTopics(engine, cluster)
  print(engine.prefix, findings, json, ({ wrong, warning }) => wrong ?? warning ?? 'ok')
  fail(findings)
}

async function list({ config, json }: Options): Promise<void> {
  const cluster = clusterConfig(config)
  const engine = kafkaOptions(cluster, clientId(cluster))
  const findings = await lookAtTopics(engine, cluster)
  const planned = new Map(topicPlans(cluster).map(plan => [plan.name, plan]))
  print(engine.prefix, findings, json, ({ name, partitions, replication, retentionMs }) => {
    if (partitions === 0) return 'missing'
    const compacted = planned.get(name)?.config['cleanup.policy'] === 'compact'
    const kept = compacted ? 'the latest of each key' : keptText(retentionMs)
    return `${partitions} partitions, ${replication} ${replication === 1 ? 'copy' : 'copies'}, keeps ${kept}`
  })
}

const clientId = (cluster: ClusterConfig): string => `foreshock-${cluster.member ?? hostname()}`

const HOUR_MS = 3_600_000
function keptText(retentionMs: number | undefined): string {
  if (retentionMs === undefined) return 'as the broker says'
  if (retentionMs < 0) return 'everything'
  const hours = retentionMs / HOUR_MS
  return hours >= 48 ? `${Math.round(hours / 24)} days` : `${Math.round(hours)} hours`
}

function print(
  prefix: string,
  findings: readonly TopicFinding[],
  json: boolean | undefined,
  text: (finding: TopicFinding) => string,
): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ prefix, topics: findings })}\n`)
    return
  }
  const width = Math.max(...findings.map(({ name }) => prefix.length + name.length))
  for (const finding of findings)
    process.stdout.write(`${(prefix + finding.name).padEnd(width)}  ${text(finding)}\n`)
}

function fail(findings: readonly TopicFinding[]): void {
  if (findings.some(({ wrong }) => wrong !== undefined)) process.exitCode = 1
}
