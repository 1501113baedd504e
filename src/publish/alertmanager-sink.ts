import { type Clock, systemClock } from '../core/clock.ts'
import type { Disruption, DisruptionEvent } from '../core/disruption.ts'
import { GroupCommit } from '../core/group-commit.ts'
import type { DisruptionSink } from '../core/ports.ts'
import type { Silence } from '../core/silence.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { activeSilences, silences } from './silences.ts'

export interface AlertmanagerOptions {
  readonly name?: string
  /** Base URLs; every alert goes to all of them, as to a cluster. */
  readonly urls: readonly string[]
  /** Where this Foreshock is reached: `generatorURL` leads there. */
  readonly externalUrl: string
  /** An open alert is sent again after this long, ms; it ends by itself after three times as long. */
  readonly resendMs?: number
  /** A failed send is tried again, and silences are fetched, after this long, ms. */
  readonly retryMs?: number
  readonly timeoutMs?: number
  readonly clock?: Clock
  readonly telemetry?: Telemetry
  /** Told of the active silences of an Alertmanager, by its URL, whenever it was asked. */
  readonly onSilences?: (url: string, silences: readonly Silence[]) => void
}

const RESEND_MS = 60_000
const RETRY_MS = 10_000
const TIMEOUT_MS = 10_000
/** Without news for this many intervals Alertmanager takes an alert for resolved. */
const INTERVALS_UNTIL_END = 3
/** A resolved alert that some Alertmanager has not accepted is given up after this long, as Prometheus does. */
const RESOLVED_KEPT_MS = 15 * 60_000
/** Alerts held; the oldest goes first. */
const ALERTS_MAX = 10_000
/** Alerts in one request. */
const BATCH = 256

interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly generatorURL: string
  readonly startMs: number
  /** NaN while it is open. */
  readonly endMs: number
  /** Grows with every change. */
  readonly version: number
}

interface Peer {
  readonly url: string
  /** What it has accepted, by disruption. */
  readonly accepted: Map<string, { readonly version: number; readonly sentMs: number }>
  readonly send: GroupCommit
  silences: readonly Silence[]
}

/**
 * Keeps the alerts of one or more Alertmanagers equal to the open disruptions: sent at every change, again before
 * they would end, and closed by their end. Labels are identity and never change; numbers are annotations.
 */
export class AlertmanagerSink implements DisruptionSink {
  readonly name: string
  readonly #externalUrl: string
  readonly #resendMs: number
  readonly #timeoutMs: number
  readonly #clock: Clock
  readonly #telemetry: Telemetry | undefined
  readonly #onSilences: NonNullable<AlertmanagerOptions['onSilences']>
  readonly #peers: readonly Peer[]
  readonly #alerts = new Map<string, Alert>()
  readonly #timer: NodeJS.Timeout
  readonly #closing = new AbortController()

  constructor(options: AlertmanagerOptions) {
    this.name = options.name ?? 'alertmanager'
    this.#externalUrl = options.externalUrl.replace(/\/$/, '')
    this.#resendMs = options.resendMs ?? RESEND_MS
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS
    this.#clock = options.clock ?? systemClock
    this.#telemetry = options.telemetry
    this.#onSilences = options.onSilences ?? (() => {})
    this.#peers = options.urls.map(text => {
      const url = text.replace(/\/$/, '')
      const peer: Peer = {
        url,
        accepted: new Map(),
        send: new GroupCommit(() => this.#send(peer)),
        silences: [],
      }
      return peer
    })
    this.#timer = setInterval(() => void this.#tick(), options.retryMs ?? RETRY_MS)
    void this.refreshSilences()
  }

  /** Alerts whose newest state some Alertmanager has not accepted. */
  get pending(): number {
    let count = 0
    for (const [id, { version }] of this.#alerts) {
      if (this.#peers.some(peer => peer.accepted.get(id)?.version !== version)) count++
    }
    return count
  }

  /**
   * Resolves when one Alertmanager has it, or every one was tried: what comes next need not wait for one that hangs. What failed
   * is sent again by itself, so this does not reject.
   */
  async publish(event: DisruptionEvent): Promise<void> {
    const { disruption } = event
    const known = this.#alerts.get(disruption.id)
    const closed = event.type === 'resolved' || event.type === 'retracted'
    // Nothing to close: it was never sent, or was closed long ago.
    if (closed && !known) return
    const alert = this.#alertOf(disruption, closed, known)
    this.#alerts.set(disruption.id, alert)
    for (const id of this.#alerts.keys()) {
      if (this.#alerts.size <= ALERTS_MAX) break
      this.#forget(id)
    }
    await this.#anyHas(disruption.id, alert.version)
  }

  /** Takes over disruptions that were open before a restart, so that they are sent again and can be closed. */
  async restore(open: readonly Disruption[]): Promise<void> {
    for (const disruption of open)
      this.#alerts.set(disruption.id, this.#alertOf(disruption, false, undefined))
    await Promise.all(this.#peers.map(peer => peer.send.commit()))
  }

  /** Lets go of alerts without closing them: somebody else keeps them up from here on. */
  release(isTheirs: (disruption: string) => boolean): void {
    for (const id of [...this.#alerts.keys()]) if (isTheirs(id)) this.#forget(id)
  }

  /** Ids of the active silences that match; empty when it is not silenced. */
  silencedBy(disruption: Disruption): readonly string[] {
    const labels = this.#alerts.get(disruption.id)?.labels ?? alertLabels(disruption)
    const ids = this.#peers.flatMap(peer =>
      peer.silences.filter(one => silences(one, labels)).map(one => one.id),
    )
    return [...new Set(ids)]
  }

  /** Never rejects: an Alertmanager that cannot be asked keeps the silences it last had. */
  async refreshSilences(): Promise<void> {
    await Promise.all(
      this.#peers.map(async peer => {
        try {
          const answer = await fetch(`${peer.url}/api/v2/silences`, { signal: this.#signal() })
          if (answer.ok) {
            peer.silences = activeSilences(await answer.json())
            this.#onSilences(peer.url, peer.silences)
          } else await answer.body?.cancel()
        } catch {
          // asked again by the next tick
        }
      }),
    )
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#closing.abort()
    await Promise.all(this.#peers.map(peer => peer.send.commit()))
  }

  async #tick(): Promise<void> {
    const now = this.#clock()
    for (const [id, { endMs, version }] of this.#alerts) {
      if (Number.isNaN(endMs)) continue
      const everywhere = this.#peers.every(peer => peer.accepted.get(id)?.version === version)
      if (everywhere || now - endMs > RESOLVED_KEPT_MS) this.#forget(id)
    }
    await Promise.all([...this.#peers.map(peer => peer.send.commit()), this.refreshSilences()])
  }

  #forget(id: string): void {
    this.#alerts.delete(id)
    for (const { accepted } of this.#peers) accepted.delete(id)
  }

  #anyHas(id: string, version: number): Promise<void> {
    let left = this.#peers.length
    return new Promise(done => {
      for (const peer of this.#peers)
        void peer.send.commit().then(() => {
          left--
          if (left === 0 || (peer.accepted.get(id)?.version ?? 0) >= version) done()
        })
    })
  }

  /** Sends what a peer lacks. Never rejects. */
  async #send(peer: Peer): Promise<void> {
    const now = this.#clock()
    const due = [...this.#alerts].filter(([id, { version, endMs }]) => {
      const accepted = peer.accepted.get(id)
      return accepted?.version !== version || (Number.isNaN(endMs) && now - accepted.sentMs >= this.#resendMs)
    })
    for (let at = 0; at < due.length && !this.#closing.signal.aborted; at += BATCH) {
      const batch = due.slice(at, at + BATCH)
      const done = await this.#post(peer, JSON.stringify(batch.map(([, alert]) => this.#body(alert, now))))
      this.#telemetry?.count('foreshock_publish_total', batch.length, {
        sink: this.name,
        outcome: done ? 'delivered' : 'failed',
      })
      if (!done) return
      for (const [id, { version }] of batch) {
        if (this.#alerts.has(id)) peer.accepted.set(id, { version, sentMs: now })
      }
    }
  }

  async #post(peer: Peer, body: string): Promise<boolean> {
    try {
      const answer = await fetch(`${peer.url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: this.#signal(),
      })
      await answer.body?.cancel()
      return answer.ok
    } catch {
      return false
    }
  }

  #signal(): AbortSignal {
    return AbortSignal.any([AbortSignal.timeout(this.#timeoutMs), this.#closing.signal])
  }

  #alertOf(disruption: Disruption, closed: boolean, known: Alert | undefined): Alert {
    const now = this.#clock()
    const startMs = known?.startMs ?? Math.min(now, Date.parse(disruption.startedAt))
    const resolvedMs = Date.parse(disruption.resolvedAt ?? disruption.updatedAt)
    return {
      labels: known?.labels ?? alertLabels(disruption),
      annotations: annotationsOf(disruption),
      generatorURL: this.#externalUrl + disruption.links.self,
      startMs,
      // Not in the future, or it would stay open until then; not before its start, or it would be refused.
      endMs: closed ? Math.max(startMs, Math.min(now, resolvedMs)) : Number.NaN,
      version: (known?.version ?? 0) + 1,
    }
  }

  #body(alert: Alert, nowMs: number) {
    const endMs = Number.isNaN(alert.endMs) ? nowMs + INTERVALS_UNTIL_END * this.#resendMs : alert.endMs
    return {
      labels: alert.labels,
      annotations: alert.annotations,
      generatorURL: alert.generatorURL,
      startsAt: new Date(alert.startMs).toISOString(),
      endsAt: new Date(endMs).toISOString(),
    }
  }
}

/** Identity. Anything that may change in a disruption's life would make it another alert. */
export function alertLabels(disruption: Disruption): Record<string, string> {
  return {
    alertname: 'ForeshockDisruption',
    disruption: disruption.id,
    entity: disruption.entity,
    tenant: disruption.tenant,
  }
}

function annotationsOf(disruption: Disruption): Record<string, string> {
  const suspects = disruption.suspects.slice(0, 3)
  return {
    summary: disruption.title,
    description: disruption.why.join('\n'),
    severity: disruption.severity,
    score: disruption.score.toFixed(1),
    confidence: disruption.confidence.toFixed(2),
    rank: String(disruption.rank),
    entities: disruption.entities.join(', '),
    suspects: suspects.map(({ entity, metric }) => `${entity} (${metric})`).join(', '),
    revision: String(disruption.revision),
  }
}
