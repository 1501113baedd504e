// Two tenants in one service, with the same services, metrics and trouble: the pipeline as shipped, its record index and the
// wiring of `foreshock serve`, in memory. What is a tenant's own and could be seen has the tenant's name in it.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { assemble } from '../../src/assembly.ts'
import { parseConfig } from '../../src/config.ts'
import type { Change } from '../../src/core/change.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import type { StoredVersion } from '../../src/core/model-standing.ts'
import type { RecordLine } from '../../src/core/ports.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { linesOf } from '../../src/effects.ts'
import { type Outcome, Pipeline } from '../../src/pipeline.ts'
import { EventStream } from '../../src/publish/event-stream.ts'
import { SampleQuotas } from '../../src/sample-quotas.ts'
import type { ApiKey, Scope } from '../../src/serve/auth.ts'
import type { ServeDeps } from '../../src/serve/deps.ts'
import { MemoryIndex } from '../../src/store/memory-index.ts'
import { serveDeps, type Wired } from '../../src/wiring.ts'
import { PairWorld } from '../experiments/world.ts'
import { modelWorld, sumTar } from './model-world.ts'

export const STEP_MS = 10_000
export const START_MS = Date.UTC(2026, 10, 20, 12)
export const TENANTS = ['acme', 'globex'] as const
export type Tenant = (typeof TENANTS)[number]
const SCOPES: readonly Scope[] = ['ingest', 'read', 'label', 'models', 'admin']

export const KEYS: readonly ApiKey[] = [undefined, ...TENANTS].map(tenant => ({
  id: tenant ?? 'operator',
  hash: `sha256:${createHash('sha256')
    .update(tenant ?? 'operator')
    .digest('hex')}`,
  scopes: SCOPES,
  ...(tenant === undefined ? {} : { tenant }),
}))

export class TwoTenants {
  readonly telemetry = new Telemetry()
  readonly rejects = new Rejects()
  readonly parts = assemble(
    parseConfig({ ingest: { entityLabels: ['service'] }, features: { step: '10s' } }),
    this.rejects,
  )
  readonly index = new MemoryIndex()
  readonly stream = new EventStream()
  readonly changes = new Map<string, Change>()
  readonly told: Outcome[] = []
  nowMs = START_MS
  #position = 0
  #seq = 0
  readonly #pipeline = new Pipeline(this.parts, (_, outcome) => this.#take(outcome), this.telemetry)

  async #take(outcome: Outcome): Promise<void> {
    this.told.push(outcome)
    for (const change of outcome.changes) this.changes.set(change.id, change)
    const lines = linesOf(outcome).map((line): RecordLine => ({ ...line, seq: ++this.#seq }))
    await this.index.apply(lines)
    for (const event of outcome.events) await this.stream.publish(event)
  }

  submit(envelope: Envelope) {
    return this.#pipeline.process(++this.#position, envelope)
  }

  /** Windows of all that both send; `factor` times the latency of `pay`. */
  async run(windows: number, factor: number): Promise<void> {
    for (let w = 0; w < windows; w++) {
      this.nowMs += STEP_MS
      const ripple = 1 + 0.03 * Math.sin(this.nowMs / STEP_MS)
      for (const tenant of TENANTS) {
        const line = (metric: string, labels: object, value: number) =>
          JSON.stringify({ time: this.nowMs, type: 'gauge', metric, labels, value: value * ripple })
        const own = `${tenant}-ledger`
        const lines = ['front', 'pay', own].flatMap(service => {
          const slow = service === 'pay' ? factor : service === 'front' ? 1 + (factor - 1) / 2 : 1
          const labels = { service, zone: `${tenant}-zone`, [`${tenant}_pod`]: 'x' }
          return [
            line('request_latency_seconds', labels, 0.2 * slow),
            line('requests_per_second', labels, 50),
            line('errors_per_second', labels, 0.5 * slow),
          ]
        })
        for (const [client, server] of [
          ['front', 'pay'],
          ['pay', own],
          ...(tenant === 'acme' ? [['front', own]] : [['pay', 'front']]),
        ])
          lines.push(line('traces_service_graph_request_total', { client, server }, 50))
        await this.submit({
          kind: 'json-lines',
          encoding: 'identity',
          tenant,
          arrivalMs: this.nowMs + 1000,
          bytes: Buffer.from(lines.join('\n')),
        })
      }
    }
  }

  /** Ids of what a tenant has, which nobody else may see. */
  idsOf(tenant: Tenant): string[] {
    const events = this.told.flatMap(one => one.events.map(({ disruption }) => disruption))
    const anomalies = this.told.flatMap(one => one.anomalies.map(({ anomaly }) => anomaly))
    return [...new Set([...events, ...anomalies].filter(one => one.tenant === tenant).map(one => one.id))]
  }
}

/** The service's ports over `world`, as `serve` wires them, with its clock, and packages, experiments and inference. */
export async function depsOf(world: TwoTenants): Promise<{ deps: ServeDeps; close: () => Promise<void> }> {
  const models = await modelWorld()
  const tar = await sumTar(models.root, 1)
  await models.desk.push('sum', 1, Readable.from([tar]), 'operator')
  const pairs = new PairWorld(1)
  const wired = {
    desk: models.desk,
    models: { serve: (folder: string) => models.open({ folder } as StoredVersion) },
    experiments: await pairs.open(),
    parts: world.parts,
    inbox: { submit: (envelope: Envelope) => world.submit(envelope) },
    quotas: new SampleQuotas({}, () => world.nowMs),
    index: world.index,
    changes: world.changes,
    openSurprise: 4,
    rejects: world.rejects,
    sinks: { stream: world.stream, alertmanager: undefined },
    telemetry: world.telemetry,
    effects: { audit: async () => {} },
    warmUp: { running: false, share: 1 },
    onError: (error: unknown) => {
      throw error
    },
  } as unknown as Wired
  return { deps: { ...serveDeps(wired), clock: () => world.nowMs }, close: () => models.close() }
}
