// Apache Kafka's own jars, from Maven Central by Maven itself, which checks what it loads. They are kept for the next run.
// FORESHOCK_KAFKA_LIBS names a folder of a Kafka that is there already (its libs/).
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'vitest'
import { missing, peerPath } from './peers.ts'

const VERSION = '4.1.0'
const LOAD_MS = 600_000
const CACHE = join(homedir(), '.cache', 'foreshock')

/** What a broker needs beside its ports: the same for every broker, made once. */
export interface KafkaSoftware {
  readonly java: string
  readonly libs: string
  /** A formatted, empty log folder, with the users of SCRAM. */
  readonly formatted: string
  /** Key and certificate of the broker, PKCS12. */
  readonly keystore: string
  /** What clients trust, PEM. */
  readonly ca: string
}

export const STORE_PASSWORD = 'foreshock'
export const USERS = { plain: 'plain-user', scram: 'scram-user' } as const
export const USER_PASSWORD = 'correct horse'

/** Quick to start and small, which is all that a test wants of a JVM. */
export const JVM = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Xlog:disable',
  '-Xlog:all=off',
]

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>io.foreshock.test</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${VERSION}</version></dependency>
  </dependencies>
</project>
`

/** One of the nodes that are a Kafka together. */
export interface KafkaNode {
  readonly id: number
  /** All controllers as `id@host:port`; the node itself when empty. */
  readonly voters: string
  /** Copies of Kafka's own topics. */
  readonly replicas: number
}
export const ONLY_NODE: KafkaNode = { id: 1, voters: '', replicas: 1 }

/** Properties that formatting needs; ports and folders come when a broker starts. */
export const controllerProperties = (
  folder: string,
  port: number,
  { id, voters }: KafkaNode = ONLY_NODE,
): string[] => [
  'process.roles=broker,controller',
  `node.id=${id}`,
  `controller.quorum.voters=${voters || `${id}@127.0.0.1:${port}`}`,
  'controller.listener.names=CONTROLLER',
  'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT',
  `log.dirs=${folder}`,
]

/** Ends the test as skipped, or as failed when peers are required, where Kafka cannot be had. */
export async function kafkaSoftware(context: TestContext): Promise<KafkaSoftware> {
  const java = await peerPath('java', context)
  const given = process.env.FORESHOCK_KAFKA_LIBS
  if (given !== undefined && given !== '') {
    if (existsSync(given)) return prepared(java, given, mkdtempSync(join(tmpdir(), 'foreshock-kafka-')))
    return missing('kafka', `FORESHOCK_KAFKA_LIBS=${given} is no folder`, context)
  }
  const home = join(CACHE, `kafka-${VERSION}`)
  const libs = join(home, 'libs')
  if (!existsSync(libs)) {
    const reason = load(await peerPath('maven', context), home)
    if (reason !== '') {
      return missing('kafka', `${reason}; or set FORESHOCK_KAFKA_LIBS to the libs folder of a Kafka`, context)
    }
  }
  return prepared(java, libs, home)
}

/** Loads into a folder of its own first: another process may do the same, and either may be stopped. '' or the reason. */
function load(maven: string, home: string): string {
  mkdirSync(CACHE, { recursive: true })
  const draft = mkdtempSync(join(CACHE, 'kafka-draft-'))
  writeFileSync(join(draft, 'pom.xml'), pom)
  const args = [
    '-B',
    '-q',
    '-C',
    'dependency:copy-dependencies',
    '-DoutputDirectory=libs',
    '-DincludeScope=runtime',
  ]
  const done = spawnSync(maven, args, { cwd: draft, encoding: 'utf8', timeout: LOAD_MS })
  if (done.status !== 0) {
    rmSync(draft, { recursive: true, force: true })
    return `Maven could not load Kafka: ${(done.stdout + done.stderr).trim().slice(-300)}`
  }
  moveInto(draft, home)
  return ''
}

function moveInto(draft: string, home: string): void {
  try {
    renameSync(draft, home)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    if (!existsSync(home)) throw error
  }
}

function prepared(java: string, libs: string, home: string): KafkaSoftware {
  const made = join(home, 'prepared-1')
  const paths = {
    formatted: join(made, 'log'),
    keystore: join(made, 'broker.p12'),
    ca: join(made, 'broker.pem'),
  }
  if (!existsSync(made)) {
    const draft = mkdtempSync(join(home, 'draft-'))
    format(java, libs, draft)
    certify(java, draft)
    moveInto(draft, made)
  }
  return { java, libs, ...paths }
}

function format(java: string, libs: string, draft: string): void {
  const properties = join(draft, 'format.properties')
  const folder = join(draft, 'log')
  writeFileSync(
    properties,
    [...controllerProperties(folder, 1), 'listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1'].join(
      '\n',
    ),
  )
  const scram = [256, 512].flatMap(bits => [
    '--add-scram',
    `SCRAM-SHA-${bits}=[name=${USERS.scram},password=${USER_PASSWORD}]`,
  ])
  const args = ['format', '-t', 'Zm9yZXNob2NrLWthZmthLQ', '-c', properties, ...scram]
  run(java, [...JVM, '-cp', join(libs, '*'), 'kafka.tools.StorageTool', ...args])
}

function certify(java: string, draft: string): void {
  const keytool = join(dirname(java), 'keytool')
  const store = ['-keystore', join(draft, 'broker.p12'), '-storepass', STORE_PASSWORD, '-alias', 'broker']
  const names = ['-dname', 'CN=localhost', '-ext', 'SAN=IP:127.0.0.1,DNS:localhost', '-validity', '36500']
  run(keytool, [
    '-genkeypair',
    '-keyalg',
    'RSA',
    '-keysize',
    '2048',
    '-storetype',
    'PKCS12',
    ...store,
    ...names,
  ])
  run(keytool, ['-exportcert', '-rfc', '-file', join(draft, 'broker.pem'), ...store])
}

/** Runs to its end; what it printed. */
export function run(command: string, args: readonly string[], input?: string): string {
  const options = { encoding: 'utf8', timeout: 120_000, ...(input === undefined ? {} : { input }) } as const
  const done = spawnSync(command, args, options)
  if (done.status === 0) return done.stdout
  throw new Error(`${command} ${args.join(' ')}: ${done.error?.message ?? done.stdout + done.stderr}`)
}

/** How many jars there are: a cache that something has emptied is found out early. */
export const jarsIn = (libs: string): number => readdirSync(libs).filter(name => name.endsWith('.jar')).length
