import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Role } from '../config/cluster.ts'
import { ForeshockError } from '../core/errors.ts'
import { freePort } from '../lab/free-port.ts'

/** How long a process may take until it is ready, ms: engines may still be starting. */
const READY_MS_MAX = 60_000
/** A process that does not leave on SIGTERM within this is killed, ms. */
const LEAVE_MS_MAX = 30_000
/** Newest characters of its log that are kept of each process. */
const LOG_CHARACTERS = 400_000

export interface FleetMember {
  readonly name: string
  readonly roles: readonly Role[]
  /** Arguments of Node before the program. */
  readonly node?: readonly string[]
}

export interface FleetPlan {
  /** Configurations and data of the processes; the caller's to remove. */
  readonly folder: string
  /** The built program. */
  readonly cli: string
  /** What all processes are configured with, in the shape of foreshock.yaml, `cluster` included. */
  readonly config: Readonly<Record<string, unknown>> & { readonly cluster: Readonly<Record<string, unknown>> }
  readonly members: readonly FleetMember[]
  /** Done when all but the scorers are ready, which start after it. */
  readonly beforeScorers?: (fleet: FleetProcesses) => Promise<void>
}

/** A fleet of real processes on this machine, and every way to hurt them. */
export class FleetProcesses {
  readonly #members = new Map<string, FleetProcess>()
  readonly #onExit = () => {
    for (const one of this.#members.values()) one.signal('SIGKILL')
  }

  /** Makes the topics and starts all members; rejects with the log of the first that cannot. */
  static async start(plan: FleetPlan): Promise<FleetProcesses> {
    const fleet = new FleetProcesses()
    process.on('exit', fleet.#onExit)
    try {
      await mkdir(plan.folder, { recursive: true })
      for (const member of plan.members) {
        const one = await FleetProcess.prepare(plan, member)
        fleet.#members.set(member.name, one)
      }
      await fleet.members[0].command('topics', 'create')
      const scorers = fleet.members.filter(({ roles }) => plan.beforeScorers && roles.includes('scorer'))
      await Promise.all(fleet.members.filter(one => !scorers.includes(one)).map(one => one.start()))
      await plan.beforeScorers?.(fleet)
      await Promise.all(scorers.map(one => one.start()))
      return fleet
    } catch (error) {
      await fleet.kill()
      throw error
    }
  }

  get members(): readonly FleetProcess[] {
    return [...this.#members.values()]
  }

  member(name: string): FleetProcess {
    const found = this.#members.get(name)
    if (!found) throw new Error(`the fleet has no ${name}`)
    return found
  }

  /** Those that have a role. */
  having(role: Role): FleetProcess[] {
    return this.members.filter(({ roles }) => roles.includes(role))
  }

  /** SIGTERM to all, gateways first, so that nothing is taken in that nobody handles. */
  async stop(): Promise<void> {
    const gateways = this.having('gateway')
    await Promise.all(gateways.map(one => one.stop()))
    await Promise.all(this.members.map(one => one.stop()))
    process.off('exit', this.#onExit)
  }

  async kill(): Promise<void> {
    await Promise.all(this.members.map(one => one.kill()))
    process.off('exit', this.#onExit)
  }
}

/** One member: a process that can be started again with the same name, address and data. */
export class FleetProcess {
  readonly name: string
  readonly roles: readonly Role[]
  /** The same over restarts. */
  readonly url: string
  readonly configFile: string
  /** The program that it is started with from now on. */
  cli: string
  readonly #node: readonly string[]
  #child: ChildProcess | undefined
  #gone: Promise<number | null> = Promise.resolve(null)
  #logs = ''

  private constructor(member: FleetMember, plan: FleetPlan, url: string, configFile: string) {
    this.name = member.name
    this.roles = member.roles
    this.#node = member.node ?? []
    this.cli = plan.cli
    this.url = url
    this.configFile = configFile
  }

  static async prepare(plan: FleetPlan, member: FleetMember): Promise<FleetProcess> {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const file = join(plan.folder, `${member.name}.json`)
    const { cluster, ...rest } = plan.config
    const config = {
      ...rest,
      server: { ...(rest.server as object | undefined), port, grpcPort: 'off' },
      data: { folder: join(plan.folder, member.name) },
      cluster: { ...cluster, roles: member.roles, member: member.name, advertise: url },
    }
    // Addresses may hold passwords.
    await writeFile(file, JSON.stringify(config, null, 2), { mode: 0o600 })
    return new FleetProcess(member, plan, url, file)
  }

  get pid(): number | undefined {
    return this.alive ? this.#child?.pid : undefined
  }

  get alive(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** Everything it logged lately, over all its lives. */
  get logged(): string {
    return this.#logs
  }

  /** Resolves when `/readyz` says so. */
  async start(): Promise<void> {
    this.spawn()
    for (const end = Date.now() + READY_MS_MAX; ; await pause(50)) {
      if (await this.ready()) return
      if (!this.alive || Date.now() > end)
        throw new ForeshockError(
          'FS_IO',
          `${this.name} of the fleet did not start:\n${this.#logs.slice(-4000)}`,
        )
    }
  }

  /** Starts the process and does not wait for it. */
  spawn(): void {
    if (this.alive) throw new Error(`${this.name} runs`)
    const child = spawn(process.execPath, [...this.#node, this.cli, 'serve', '--config', this.configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (chunk: Buffer) => {
      this.#logs = (this.#logs + chunk).slice(-LOG_CHARACTERS)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', cause => keep(Buffer.from(String(cause))))
    this.#child = child
    this.#gone = new Promise(done => child.once('exit', code => done(code)))
  }

  async ready(): Promise<boolean> {
    const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(() => null)
    await answer?.body?.cancel()
    return answer?.ok === true
  }

  /** SIGTERM; the exit code. One that does not leave is killed. */
  async stop(): Promise<number | null> {
    if (!this.alive) return this.#gone
    this.#child?.kill('SIGTERM')
    const hard = setTimeout(() => this.#child?.kill('SIGKILL'), LEAVE_MS_MAX)
    const code = await this.#gone
    clearTimeout(hard)
    return code
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#gone
  }

  /** SIGSTOP pauses it as a frozen machine would, SIGCONT wakes it. */
  signal(signal: NodeJS.Signals): void {
    if (this.alive) this.#child?.kill(signal)
  }

  /** Runs another command with this member's configuration; what it printed. */
  command(...words: string[]): Promise<string> {
    const child = spawn(process.execPath, [this.cli, ...words, '--config', this.configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let failure = ''
    child.stdout.on('data', chunk => {
      out += chunk
    })
    child.stderr.on('data', chunk => {
      failure += chunk
    })
    return new Promise((done, failed) => {
      child.once('error', failed)
      child.once('close', code => {
        if (code === 0) done(out)
        else
          failed(
            new ForeshockError('FS_IO', `foreshock ${words.join(' ')} ended with ${code}: ${failure}${out}`),
          )
      })
    })
  }
}
