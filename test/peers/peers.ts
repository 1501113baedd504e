// Real peers for tests: Prometheus, node exporter, Alertmanager and Chromium. Each is looked for in an environment
// variable, then on the PATH, then installed as its Debian package where that is possible (root, apt-get). Where it
// cannot be had, the test is skipped and says how to get it, or fails when FORESHOCK_REQUIRE_PEERS=1.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { TestContext } from 'vitest'
import { freePort } from '../../src/lab/free-port.ts'

const PEERS = {
  prometheus: { variable: 'FORESHOCK_PROMETHEUS', commands: ['prometheus'], package: 'prometheus' },
  promtool: { variable: 'FORESHOCK_PROMTOOL', commands: ['promtool'], package: 'prometheus' },
  nodeExporter: {
    variable: 'FORESHOCK_NODE_EXPORTER',
    commands: ['prometheus-node-exporter', 'node_exporter'],
    package: 'prometheus-node-exporter',
  },
  alertmanager: {
    variable: 'FORESHOCK_ALERTMANAGER',
    commands: ['prometheus-alertmanager', 'alertmanager'],
    package: 'prometheus-alertmanager',
  },
  chromium: {
    variable: 'FORESHOCK_CHROMIUM',
    commands: ['chromium', 'chromium-browser', 'google-chrome'],
    package: 'chromium',
  },
  java: { variable: 'FORESHOCK_JAVA', commands: ['java'], package: 'openjdk-17-jre-headless' },
  maven: { variable: 'FORESHOCK_MAVEN', commands: ['mvn'], package: 'maven' },
  redis: { variable: 'FORESHOCK_REDIS', commands: ['redis-server'], package: 'redis-server' },
  postgres: { variable: 'FORESHOCK_POSTGRES', commands: ['pg_ctl'], package: 'postgresql' },
  victoriaMetrics: {
    variable: 'FORESHOCK_VICTORIA_METRICS',
    commands: ['victoria-metrics', 'victoria-metrics-prod'],
    package: 'victoria-metrics',
  },
} as const
export type PeerName = keyof typeof PEERS
export const PEER_NAMES = Object.keys(PEERS) as PeerName[]

const READY_MS = 60_000
const INSTALL_MS = 600_000
const LOCK = join(tmpdir(), 'foreshock-install-peers.lock')

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Debian keeps the programs of PostgreSQL off the PATH, in a folder a version. */
function postgresFolders(): string[] {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return []
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return versions.map(version => join(root, version, 'bin'))
}

function found(name: PeerName): string | undefined {
  const { variable, commands } = PEERS[name]
  const named = process.env[variable]
  if (named !== undefined && named !== '') return isProgram(named) ? named : undefined
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...postgresFolders()]
  return commands.flatMap(command => folders.map(folder => join(folder, command))).find(isProgram)
}

/** Installs a Debian package; '' or what went wrong. One process at a time. */
async function install(name: PeerName): Promise<string> {
  if (process.getuid?.() !== 0) return 'not root'
  if (spawnSync('apt-get', ['--version']).status !== 0) return 'no apt-get'
  const release = await locked()
  try {
    if (found(name)) return ''
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const run = (...args: string[]) =>
      spawnSync('apt-get', args, { env, timeout: INSTALL_MS, encoding: 'utf8' })
    run('update')
    const done = run('install', '-y', '--no-install-recommends', PEERS[name].package)
    if (done.status !== 0) return `apt-get install failed: ${done.stderr.trim().slice(-300)}`
    // Debian starts what it installs; tests start their own.
    spawnSync('service', [PEERS[name].package, 'stop'])
    return found(name) ? '' : 'installed, but not found'
  } finally {
    release()
  }
}

async function locked(): Promise<() => void> {
  const owner = join(LOCK, 'pid')
  for (const end = Date.now() + INSTALL_MS; ; await wait(500)) {
    try {
      mkdirSync(LOCK)
      writeFileSync(owner, String(process.pid))
      return () => rmSync(LOCK, { recursive: true, force: true })
    } catch {
      if (Date.now() > end) throw new Error(`${LOCK} is held; remove it if nothing is being installed`)
      try {
        process.kill(Number(readFileSync(owner, 'utf8')), 0)
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException
        const old = Date.now() - (statSync(LOCK, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 5000
        if ((code === 'ESRCH' || code === 'ENOENT') && old) rmSync(LOCK, { recursive: true, force: true })
      }
    }
  }
}

/** The program's path, or why there is none. Throws where there is none and peers are required. */
export async function lookForPeer(name: PeerName): Promise<{ path: string } | { missing: string }> {
  const there = found(name)
  if (there) return { path: there }
  const { variable, package: debian } = PEERS[name]
  const named = process.env[variable]
  const reason = named ? `${variable}=${named} is no program` : await install(name)
  const path = found(name)
  if (path) return { path }
  const missing = `${name} is missing (${reason}): install the Debian package ${debian} or set ${variable} to its path`
  if (process.env.FORESHOCK_REQUIRE_PEERS === '1') throw new Error(missing)
  return { missing }
}

/** The program's path. Ends the test as skipped, or as failed when peers are required, where there is none. */
export async function peerPath(name: PeerName, context: TestContext): Promise<string> {
  const peer = await lookForPeer(name)
  if ('path' in peer) return peer.path
  process.stderr.write(`SKIPPED ${context.task.name}: ${peer.missing}\n`)
  return context.skip(peer.missing)
}

/** Ends the test as skipped, or as failed when peers are required: for what is no program. */
export function missing(name: string, reason: string, context: TestContext): never {
  const text = `${name} is missing: ${reason}`
  if (process.env.FORESHOCK_REQUIRE_PEERS === '1') throw new Error(text)
  process.stderr.write(`SKIPPED ${context.task.name}: ${text}\n`)
  return context.skip(text)
}

export interface RunningPeer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** What it printed so far. */
  readonly output: () => string
  readonly stop: () => Promise<void>
}

async function start(
  path: string,
  readyPath: string,
  args: (port: number, dir: string) => readonly string[],
  context: TestContext,
): Promise<RunningPeer> {
  const dir = mkdtempSync(join(tmpdir(), 'foreshock-peer-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(path, args(port, dir), { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  const keep = (chunk: Buffer) => {
    printed = (printed + chunk).slice(-100_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.on('error', cause => keep(Buffer.from(String(cause))))
  const peer = { url, output: () => printed, stop: () => stop(child, dir) }
  context.onTestFinished(peer.stop)
  for (const end = Date.now() + READY_MS; ; await wait(50)) {
    const ready = await fetch(url + readyPath).then(
      answer => answer.ok,
      () => false,
    )
    if (ready) return peer
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${path} did not start:\n${printed}`)
  }
}

async function stop(child: ChildProcess, dir: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const closed = new Promise(done => child.once('close', done))
    child.kill('SIGTERM')
    const hard = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await closed
    clearTimeout(hard)
  }
  rmSync(dir, { recursive: true, force: true })
}

/** Starts an Alertmanager without a cluster; it is stopped when the test ends. */
export async function alertmanager(context: TestContext): Promise<RunningPeer> {
  const path = await peerPath('alertmanager', context)
  const args = (port: number, dir: string) => {
    writeFileSync(join(dir, 'alertmanager.yml'), 'route:\n  receiver: none\nreceivers:\n  - name: none\n')
    return [
      '--config.file=alertmanager.yml',
      '--storage.path=data',
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ]
  }
  return start(path, '/-/ready', args, context)
}

export interface PrometheusOptions {
  /** `host:port` of each target by job. */
  readonly scrape: Readonly<Record<string, string>>
  readonly remoteWriteUrl?: string
  /** More lines under the remote write's entry, such as `authorization`. */
  readonly remoteWriteMore?: readonly string[]
  readonly intervalS?: number
  /** Samples it has from before it started, as OpenMetrics text. */
  readonly past?: string
  /** More lines of its `global` section, such as `external_labels`. */
  readonly globalMore?: readonly string[]
  /** More flags. */
  readonly flags?: readonly string[]
}

/** Starts a Prometheus that scrapes and, when asked, writes on; it is stopped when the test ends. */
export async function prometheus(context: TestContext, options: PrometheusOptions): Promise<RunningPeer> {
  const path = await peerPath('prometheus', context)
  const lines = [
    'global:',
    `  scrape_interval: ${options.intervalS ?? 1}s`,
    `  scrape_timeout: ${options.intervalS ?? 1}s`,
    ...(options.globalMore ?? []).map(line => `  ${line}`),
    'scrape_configs:',
    ...Object.entries(options.scrape).flatMap(([job, target]) => [
      `  - job_name: ${job}`,
      `    static_configs: [{ targets: ['${target}'] }]`,
    ]),
  ]
  if (options.remoteWriteUrl) {
    lines.push('remote_write:', `  - url: ${options.remoteWriteUrl}`)
    for (const line of options.remoteWriteMore ?? []) lines.push(`    ${line}`)
  }
  const args = (port: number, dir: string) => {
    writeFileSync(join(dir, 'prometheus.yml'), `${lines.join('\n')}\n`)
    if (options.past !== undefined) backfill(path, dir, options.past)
    return [
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=data',
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
      ...(options.flags ?? []),
    ]
  }
  return start(path, '/-/ready', args, context)
}

/** Makes blocks of recorded samples with promtool, which comes with every Prometheus. */
function backfill(prometheusPath: string, dir: string, text: string): void {
  writeFileSync(join(dir, 'past.om'), text)
  const tool = join(dirname(prometheusPath), 'promtool')
  const args = ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', 'past.om', 'data']
  const done = spawnSync(tool, args, { cwd: dir, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${tool}: ${done.error?.message ?? done.stderr}`)
}

/** Starts a node exporter; it is stopped when the test ends. */
export async function nodeExporter(context: TestContext): Promise<RunningPeer> {
  const path = await peerPath('nodeExporter', context)
  return start(path, '/metrics', port => [`--web.listen-address=127.0.0.1:${port}`], context)
}

/** What playwright-core needs to launch the system's Chromium, also as root in a container. */
export async function chromium(context: TestContext): Promise<{ executablePath: string; args: string[] }> {
  const executablePath = await peerPath('chromium', context)
  return { executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] }
}
