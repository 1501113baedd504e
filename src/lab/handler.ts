import { type Answer, exchange } from './caller.ts'
import { type ServiceName, TIMEOUT_MS } from './plan.ts'
import type { Random } from './random.ts'
import type { ServiceSettings, Switches } from './settings.ts'
import type { Telemetry } from './telemetry.ts'

/** A failure with the status that the caller gets. */
export class Failure extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What a handler may use: itself, its neighbours, its faults. */
export interface Surroundings {
  readonly settings: ServiceSettings
  readonly switches: Readonly<Switches>
  readonly random: Random
  call(target: ServiceName, path: string, body?: string): Promise<Answer>
}

/** `path` with its query; the body as text. The answer is JSON text. */
export type Handler = (path: string, body: string) => Promise<string>

export function surroundings(
  settings: ServiceSettings,
  switches: Readonly<Switches>,
  random: Random,
  telemetry: Telemetry,
): Surroundings {
  const turns = new Map<string, number>()
  return {
    settings,
    switches,
    random,
    async call(target, path, body) {
      const instances = switches.routes[target] ?? []
      if (instances.length === 0) return { status: 0, body: `no route to ${target}` }
      const turn = turns.get(target) ?? 0
      turns.set(target, turn + 1)
      const startedMs = performance.now()
      const answer = await exchange(`${instances[turn % instances.length]}${path}`, body, TIMEOUT_MS[target])
      const failed = answer.status === 0 || answer.status >= 500
      telemetry.called(target, (performance.now() - startedMs) / 1000, failed)
      return answer
    },
  }
}

/** The body of an answer that is needed; its failure becomes the caller's own. */
export function required(answer: Answer, what: string): string {
  if (answer.status === 200) return answer.body
  if (answer.status === 0) throw new Failure(504, `${what}: ${answer.body}`)
  throw new Failure(502, `${what} answered ${answer.status}`)
}
