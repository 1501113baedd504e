import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Board, RecordIndex, SharedSilences } from '../core/ports.ts'
import { type StreamGroup, type StreamProducer, type Streams, TOPICS } from '../core/stream.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { AlertmanagerSink } from '../publish/alertmanager-sink.ts'
import { WebhookPost, webhookName } from '../publish/webhook-post.ts'
import { every } from '../upkeep.ts'
import { AlertmanagerPublisher } from './publisher-alertmanager.ts'
import { WebhookPublisher } from './publisher-webhook.ts'

export interface PublisherOptions {
  readonly config: Config
  readonly member: string
  readonly streams: Streams
  readonly index: RecordIndex
  readonly board: Board
  readonly silences: SharedSilences
  /** Where the fleet is reached by people. */
  readonly source: string
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly clock: Clock
}

/** What waits for receivers is told this often, for they take it in their own time, ms. */
const GAUGES_MS = 1000

/** The role `publisher`: tells the world, each receiver at its own pace by a group of its own. */
export class Publisher {
  readonly #options: PublisherOptions
  readonly #groups: StreamGroup[] = []
  readonly #closing: (() => Promise<void> | void)[] = []
  readonly #sinks: { readonly name: string; readonly pending: number }[] = []

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** Joins the groups; throws FS_CONFIG_INVALID for a bad target or secret. */
  async start(): Promise<void> {
    const { config, streams, logger } = this.#options
    // Before anything is open: what is begun beside one that fails would go on when this was closed.
    const posts = config.sinks.webhooks.map(webhook => this.#post(webhook))
    const onError = (error: unknown) => logger.warn({ err: error }, 'what waits for delivery is not told')
    const timer = every(GAUGES_MS, async () => this.#report(), onError)
    this.#closing.push(() => timer.stop())
    const producer = await streams.producer()
    this.#closing.push(() => producer.close())
    const runs = posts.map(({ name, post }) => this.#webhook(name, post, producer))
    if (config.sinks.alertmanagers.length > 0) runs.push(this.#alertmanagers())
    await Promise.all(runs)
  }

  async close(): Promise<void> {
    await Promise.all(this.#groups.map(group => group.close()))
    await Promise.all(this.#closing.map(close => close()))
  }

  #post({ url, secret, allowPrivate }: Config['sinks']['webhooks'][number]): {
    readonly name: string
    readonly post: WebhookPost
  } {
    const post = new WebhookPost({ url, secret, source: this.#options.source, target: { allowPrivate } })
    return { name: webhookName(url), post }
  }

  async #webhook(name: string, post: WebhookPost, producer: StreamProducer): Promise<void> {
    const { telemetry, clock, logger } = this.#options
    const group = this.#group(name)
    const onError = (error: unknown) => logger.warn({ err: error, sink: name }, 'an event is told later')
    const owner = new WebhookPublisher({ name, group, post, producer, telemetry, clock, onError })
    this.#closing.push(() => post.close())
    this.#sinks.push(owner)
    await group.run(owner)
  }

  async #alertmanagers(): Promise<void> {
    const { config, streams, index, board, silences, source, telemetry, clock, logger } = this.#options
    const partitions = await streams.partitions(TOPICS.disruptions)
    const onError = (error: unknown) =>
      logger.warn({ err: error, sink: 'alertmanager' }, 'Alertmanagers are told later')
    const sink = new AlertmanagerSink({
      urls: config.sinks.alertmanagers.map(({ url }) => url),
      externalUrl: source,
      telemetry,
      clock,
      onSilences: (url, found) => {
        silences.publish(url, found).catch(onError)
      },
    })
    this.#closing.push(() => sink.close())
    this.#sinks.push(sink)
    const group = this.#group('alertmanager')
    await group.run(new AlertmanagerPublisher({ group, streams, sink, partitions, index, board, onError }))
  }

  #report(): void {
    for (const { name, pending } of this.#sinks)
      this.#options.telemetry.set('foreshock_publish_pending', pending, { sink: name })
  }

  #group(name: string): StreamGroup {
    const { streams, member } = this.#options
    const group = streams.group({ topic: TOPICS.disruptions, group: `publish-${name}`, member })
    this.#groups.push(group)
    return group
  }
}
