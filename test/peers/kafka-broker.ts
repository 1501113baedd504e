// A broker as a process: its settings, its start, its end. Without vitest, for benches too.
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../src/lab/free-port.ts'
import {
  controllerProperties,
  JVM,
  type KafkaNode,
  type KafkaSoftware,
  ONLY_NODE,
  STORE_PASSWORD,
  USER_PASSWORD,
  USERS,
} from './kafka-software.ts'

export const START_MS = 90_000

export interface KafkaPeer {
  /** `host:port`, without encryption. */
  readonly broker: string
  /** `host:port` that wants TLS and a user; undefined for a Kafka that was there already. */
  readonly secured: string | undefined
}

interface Ports {
  readonly plain: number
  readonly secured: number
  readonly controller: number
}

const properties = (software: KafkaSoftware, folder: string, ports: Ports, node: KafkaNode): string =>
  [
    ...controllerProperties(join(folder, 'log'), ports.controller, node),
    `listeners=PLAINTEXT://127.0.0.1:${ports.plain},SASL_SSL://127.0.0.1:${ports.secured},CONTROLLER://127.0.0.1:${ports.controller}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${ports.plain},SASL_SSL://127.0.0.1:${ports.secured}`,
    'inter.broker.listener.name=PLAINTEXT',
    `ssl.keystore.location=${software.keystore}`,
    `ssl.keystore.password=${STORE_PASSWORD}`,
    'ssl.keystore.type=PKCS12',
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    `listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${USERS.plain}="${USER_PASSWORD}";`,
    'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;',
    'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;',
    'auto.create.topics.enable=false',
    'offsets.topic.num.partitions=1',
    `offsets.topic.replication.factor=${node.replicas}`,
    'transaction.state.log.num.partitions=1',
    `transaction.state.log.replication.factor=${node.replicas}`,
    `transaction.state.log.min.isr=${Math.max(1, node.replicas - 1)}`,
    'group.initial.rebalance.delay.ms=0',
    'group.min.session.timeout.ms=500',
    'num.network.threads=2',
    'num.io.threads=2',
    'num.replica.fetchers=1',
    'background.threads=2',
    'log.cleaner.dedupe.buffer.size=4194304',
    'log.segment.bytes=16777216',
    'log.index.size.max.bytes=262144',
    'offsets.topic.segment.bytes=1048576',
    'transaction.state.log.segment.bytes=1048576',
    'controlled.shutdown.enable=false',
  ].join('\n')

/** A broker that one test has to itself. */
export class OwnKafka implements KafkaPeer {
  readonly #software: KafkaSoftware
  readonly #folder: string
  readonly #ports: Ports
  #child: ChildProcess | undefined

  constructor(software: KafkaSoftware, folder: string, ports: Ports) {
    this.#software = software
    this.#folder = folder
    this.#ports = ports
  }

  get broker(): string {
    return `127.0.0.1:${this.#ports.plain}`
  }

  get secured(): string {
    return `127.0.0.1:${this.#ports.secured}`
  }

  /** Where its partitions lie, each in a folder of its own. */
  get logFolder(): string {
    return join(this.#folder, 'log')
  }

  /** Starts it, again with the same ports and data; resolves when it answers. */
  async start(): Promise<void> {
    this.#child = launch(this.#software, this.#folder)
    await answering(this.#ports.plain, this.#folder, () => this.#child?.exitCode === null)
  }

  /** Ends it in order. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  /** Ends it as a power cut does. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** Stands still: it answers nothing, and keeps its connections. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise(done => child.once('exit', done))
    child.kill('SIGCONT')
    child.kill(signal)
    const hard = setTimeout(() => child.kill('SIGKILL'), 15_000)
    await closed
    clearTimeout(hard)
  }
}

export function newFolder(
  software: KafkaSoftware,
  parent: string,
  ports: Ports,
  node: KafkaNode = ONLY_NODE,
): string {
  const folder = mkdtempSync(join(parent, 'kafka-'))
  cpSync(software.formatted, join(folder, 'log'), { recursive: true })
  if (node.id !== ONLY_NODE.id) rename(join(folder, 'log', 'meta.properties'), node.id)
  writeFileSync(join(folder, 'server.properties'), properties(software, folder, ports, node))
  return folder
}

/** The formatted folder is the first node's: another has its own number, and its own name of the folder. */
function rename(meta: string, id: number): void {
  const text = readFileSync(meta, 'utf8')
    .replace(/^node\.id=.*$/m, `node.id=${id}`)
    .replace(
      /^directory\.id=.*$/m,
      `directory.id=${Buffer.from(`foreshock-disk-${id}`).toString('base64url')}`,
    )
  writeFileSync(meta, text)
}

export const command = (software: KafkaSoftware, folder: string): string[] => [
  software.java,
  '-Xmx384m',
  ...JVM,
  '-cp',
  join(software.libs, '*'),
  'kafka.Kafka',
  join(folder, 'server.properties'),
]

function launch(software: KafkaSoftware, folder: string): ChildProcess {
  const output = openSync(join(folder, 'output'), 'a')
  const [java, ...args] = command(software, folder)
  return spawn(java, args, { cwd: folder, stdio: ['ignore', output, output] })
}

/** Resolves when a port takes connections. */
export async function answering(port: number, folder: string, runs: () => boolean): Promise<void> {
  for (const end = Date.now() + START_MS; ; await wait(50)) {
    const open = await new Promise<boolean>(done => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        done(true)
      })
      socket.on('error', () => done(false))
    })
    if (open) return
    if (!runs() || Date.now() > end) {
      throw new Error(`Kafka did not start:\n${readFileSync(join(folder, 'output'), 'utf8').slice(-3000)}`)
    }
  }
}

export const freePorts = async (): Promise<Ports> => ({
  plain: await freePort(),
  secured: await freePort(),
  controller: await freePort(),
})

/** So many brokers as one Kafka, running; each can be hurt by itself. */
export async function startBrokers(
  software: KafkaSoftware,
  count: number,
): Promise<{ nodes: readonly OwnKafka[]; end(): Promise<void> }> {
  const ports = await Promise.all(Array.from({ length: count }, freePorts))
  const voters = ports.map(({ controller }, i) => `${i + 1}@127.0.0.1:${controller}`).join(',')
  const folders = ports.map((own, i) =>
    newFolder(software, tmpdir(), own, { id: i + 1, voters, replicas: count }),
  )
  const nodes = folders.map((folder, i) => new OwnKafka(software, folder, ports[i]))
  const end = async () => {
    await Promise.all(nodes.map(node => node.kill()))
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
  try {
    await Promise.all(nodes.map(node => node.start()))
    return { nodes, end }
  } catch (error) {
    await end()
    throw error
  }
}

/** A broker that is running, and how it ends. */
export async function startBroker(
  software: KafkaSoftware,
): Promise<{ kafka: OwnKafka; end(): Promise<void> }> {
  const ports = await freePorts()
  const folder = newFolder(software, tmpdir(), ports)
  const kafka = new OwnKafka(software, folder, ports)
  const end = async () => {
    await kafka.kill()
    rmSync(folder, { recursive: true, force: true })
  }
  await kafka.start()
  return { kafka, end }
}
