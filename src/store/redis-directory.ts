import type { Directory } from '../core/ports.ts'
import type { RedisConnection } from './redis-connection.ts'

/** The directory in Redis: a key a part, which vanishes when it is not announced again. */
export class RedisDirectory implements Directory {
  readonly #connection: RedisConnection

  constructor(options: { readonly connection: RedisConnection }) {
    this.#connection = options.connection
  }

  async announce(part: string, url: string, ttlMs: number): Promise<void> {
    await this.#connection.run(`announce ${part}`, client => client.set(this.#key(part), url, 'PX', ttlMs))
  }

  async find(part: string): Promise<string | undefined> {
    return (await this.#connection.run(`find ${part}`, client => client.get(this.#key(part)))) ?? undefined
  }

  /** Nothing is held; the connection is its maker's. */
  async close(): Promise<void> {}

  #key(part: string): string {
    return `${this.#connection.prefix}part:${part}`
  }
}
