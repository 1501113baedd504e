import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { exchange } from './caller.ts'
import { PLAN, SERVICES, type ServiceName } from './plan.ts'
import {
  CONTROL_PATH,
  SETTINGS_VARIABLE,
  type ServiceSettings,
  type ServiceStatus,
  type Switches,
  TOKEN_HEADER,
} from './settings.ts'

/** A process that has not reported its port by then did not start, ms: cold starts on a busy machine. */
const START_MS_MAX = 60_000
/** A process that has not drained by then is killed, ms. */
const STOP_MS_MAX = 3000
const CONTROL_MS_MAX = 5000
/** The end of what a failed process said, bytes. */
const COMPLAINT_BYTES = 2000

export interface FleetOptions {
  /** Base URL of Foreshock, no slash at the end. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly seed: number
  readonly exportEveryMs?: number
  /** False: nothing is exported before `startExport`. Default true. */
  readonly exporting?: boolean
}

type Role = ServiceName | 'load'

interface Member {
  readonly role: Role
  readonly instance: string
  readonly version: number
  readonly port: number
  readonly child: ChildProcess
}

/** The processes of the fleet: started, controlled, killed, replaced, and all gone after `stop`. */
export class Fleet {
  readonly #options: FleetOptions
  readonly #token = randomBytes(12).toString('hex')
  readonly #members = new Map<string, Member>()
  readonly #children = new Set<ChildProcess>()
  readonly #onExit = () => {
    for (const child of this.#children) child.kill('SIGKILL')
  }
  #stopped = false
  #exporting: boolean

  private constructor(options: FleetOptions) {
    this.#options = options
    this.#exporting = options.exporting ?? true
    process.on('exit', this.#onExit)
  }

  /** Starts every service and the (quiet) load generator; on any failure nothing is left running. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options)
    try {
      const starts = SERVICES.flatMap(role =>
        instancesOf(role).map(instance => fleet.#launch(role, instance, 1, 0)),
      )
      starts.push(fleet.#launch('load', 'load', 1, 0))
      await Promise.all(starts)
      await fleet.#route()
      return fleet
    } catch (error) {
      await fleet.stop()
      throw error
    }
  }

  /** Process ids of everything that runs now. */
  get pids(): number[] {
    return [...this.#children].flatMap(child => (child.pid === undefined ? [] : [child.pid]))
  }

  get instances(): string[] {
    return [...this.#members.keys()]
  }

  /** Turns switches of an instance, or of all instances of a role; answers their status. */
  async turn(name: Role | (string & {}), switches?: Partial<Switches>): Promise<ServiceStatus[]> {
    const members = [...this.#members.values()].filter(
      member => member.instance === name || member.role === name,
    )
    if (members.length === 0) throw new Error(`the fleet has no ${name}`)
    return Promise.all(members.map(member => this.#control(member, switches)))
  }

  /** Begins to export metrics. */
  async startExport(): Promise<void> {
    this.#exporting = true
    await Promise.all(SERVICES.map(role => this.turn(role, { exporting: true })))
  }

  /** Kills an instance at once, as a crash would. */
  async kill(instance: string): Promise<void> {
    const member = this.#member(instance)
    const gone = exited(member.child)
    member.child.kill('SIGKILL')
    await gone
  }

  /** Starts an instance that is gone, on its old port. */
  async revive(instance: string): Promise<void> {
    const { role, version, port, child } = this.#member(instance)
    if (child.exitCode === null && child.signalCode === null) return
    await this.#launch(role, instance, version, port)
    await this.#route()
  }

  /** Drains an instance, stops it and starts it again: seconds during which it is not there. */
  async restart(instance: string): Promise<void> {
    const member = this.#member(instance)
    await drained(member.child)
    await this.revive(instance)
  }

  /** Rolls out a version: the new process starts beside the old one, callers are switched, the old one drains. Resolves to when they switched, Unix ms. */
  async release(instance: string, version: number): Promise<number> {
    const old = this.#member(instance)
    await this.#launch(old.role, instance, version, 0)
    const switchedMs = Date.now()
    await this.#route()
    await drained(old.child)
    return switchedMs
  }

  /** Ends every process; none is left when this resolves. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#children].map(child => drained(child)))
    process.off('exit', this.#onExit)
  }

  #member(instance: string): Member {
    const member = this.#members.get(instance)
    if (!member) throw new Error(`the fleet has no instance ${instance}`)
    return member
  }

  async #launch(role: Role, instance: string, version: number, port: number): Promise<void> {
    if (this.#stopped) throw new Error('the fleet is stopped')
    const settings: ServiceSettings = {
      role,
      instance,
      version,
      port,
      seed: this.#options.seed * 1000 + [...instance].reduce((sum, c) => sum + c.charCodeAt(0), 0),
      metricsUrl: `${this.#options.url}/v1/metrics`,
      headers: this.#options.headers ?? {},
      exportEveryMs: this.#options.exportEveryMs ?? 1000,
      exporting: this.#exporting,
      token: this.#token,
    }
    const child = spawnService(settings)
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    this.#members.set(instance, { role, instance, version, child, port: await reportedPort(child, instance) })
  }

  /** Tells every process where its neighbours are. */
  async #route(): Promise<void> {
    const alive = [...this.#members.values()].filter(
      ({ child }) => child.exitCode === null && child.signalCode === null,
    )
    await Promise.all(
      alive.map(member => {
        const calls: readonly ServiceName[] = member.role === 'load' ? ['edge'] : PLAN[member.role].calls
        const routes = Object.fromEntries(
          calls.map(target => [
            target,
            [...this.#members.values()]
              .filter(({ role }) => role === target)
              .map(({ port }) => `http://127.0.0.1:${port}`),
          ]),
        )
        return this.#control(member, { routes })
      }),
    )
  }

  async #control(member: Member, switches?: Partial<Switches>): Promise<ServiceStatus> {
    const body = switches === undefined ? '' : JSON.stringify(switches)
    const url = `http://127.0.0.1:${member.port}${CONTROL_PATH}`
    const answer = await exchange(url, body, CONTROL_MS_MAX, { [TOKEN_HEADER]: this.#token })
    if (answer.status !== 200) throw new Error(`${member.instance} did not take control: ${answer.body}`)
    return JSON.parse(answer.body) as ServiceStatus
  }
}

export function instancesOf(role: ServiceName): string[] {
  return Array.from({ length: PLAN[role].instances }, (_, index) => `${role}-${index + 1}`)
}

/** Built, the program is plain JavaScript; run from source, it needs the loader that its parent has. */
function spawnService(settings: ServiceSettings): ChildProcess {
  const fromSource = import.meta.url.endsWith('.ts')
  const program = fileURLToPath(new URL(fromSource ? './service.ts' : './service.js', import.meta.url))
  const loader = fromSource
    ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
    : []
  const environment: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    // The user's own OpenTelemetry and Node settings are not meant for the lab.
    if (!name.startsWith('OTEL_') && !name.startsWith('VITEST') && name !== 'NODE_OPTIONS')
      environment[name] = value
  }
  environment[SETTINGS_VARIABLE] = JSON.stringify(settings)
  return fork(program, [], { execArgv: loader, env: environment, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
}

function reportedPort(child: ChildProcess, instance: string): Promise<number> {
  return new Promise((done, failed) => {
    let complaint = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(-COMPLAINT_BYTES)
    })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      failed(new Error(`${instance} did not start within ${START_MS_MAX} ms ${complaint}`))
    }, START_MS_MAX)
    child.once('message', message => {
      clearTimeout(timer)
      if (typeof message === 'object' && 'port' in message) done(Number(message.port))
      else failed(new Error(`${instance} reported no port`))
    })
    child.once('error', error => {
      clearTimeout(timer)
      failed(error)
    })
    child.once('exit', code => {
      clearTimeout(timer)
      failed(new Error(`${instance} ended at start with code ${code} ${complaint}`))
    })
  })
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise(done => child.once('exit', () => done()))
}

async function drained(child: ChildProcess): Promise<void> {
  const gone = exited(child)
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await gone
  clearTimeout(timer)
}
