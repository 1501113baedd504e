import { setTimeout as wait } from 'node:timers/promises'
import type { Channel } from '../core/ports.ts'
import type { RedisClient, RedisConnection } from './redis-connection.ts'

/** A listener that cannot be heard of by Redis within so long, ms, listens from when Redis is there. */
const LISTEN_MS = 1000

/** Pub/sub of Redis. A lost connection is made again and listens to the same; what was said meanwhile is missed. */
export class RedisChannel implements Channel {
  readonly #connection: RedisConnection
  readonly #listeners = new Map<string, ((text: string) => void)[]>()
  #subscriber: RedisClient | undefined

  constructor(options: { readonly connection: RedisConnection }) {
    this.#connection = options.connection
  }

  async publish(topic: string, text: string): Promise<void> {
    await this.#connection.run(`say on ${topic}`, client => client.publish(this.#name(topic), text))
  }

  async subscribe(topic: string, take: (text: string) => void): Promise<void> {
    const name = this.#name(topic)
    const listeners = this.#listeners.get(name)
    this.#listeners.set(name, [...(listeners ?? []), take])
    const listens = this.#listen()
      .subscribe(name)
      .catch(() => {}) // closed meanwhile
    const gaveUp = new AbortController()
    await Promise.race([listens, wait(LISTEN_MS, undefined, { signal: gaveUp.signal }).catch(() => {})])
    gaveUp.abort()
  }

  /** Hears nothing more; the connection is its maker's. */
  async close(): Promise<void> {
    this.#subscriber?.off('message', this.#hear)
    this.#listeners.clear()
  }

  readonly #hear = (name: string, text: string): void => {
    for (const take of this.#listeners.get(name) ?? []) take(text)
  }

  #listen(): RedisClient {
    this.#subscriber ??= this.#connection.subscriber().on('message', this.#hear)
    return this.#subscriber
  }

  #name(topic: string): string {
    return `${this.#connection.prefix}channel:${topic}`
  }
}
