import type { RateCounter } from '../core/ports.ts'
import { MemoryRates } from './memory-rates.ts'
import { type RedisConnection, redisScript } from './redis-connection.ts'

/** KEYS: counter. ARGV: ms of its window. Gives the count and the ms left. */
const COUNT = redisScript(`
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if count == 1 or left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}
`)
/** A request waits so long, ms, for what other gateways counted. */
const ANSWER_MS = 200

/** Requests counted in Redis; while it is away or slow, by this process alone. */
export class RedisRates implements RateCounter {
  readonly #connection: RedisConnection
  readonly #own = new MemoryRates()

  constructor(options: { readonly connection: RedisConnection }) {
    this.#connection = options.connection
  }

  async count(key: string, windowMs: number): Promise<{ count: number; leftMs: number }> {
    const name = `${this.#connection.prefix}rate:${key}`
    const asked = () => this.#connection.script('rate', COUNT, [name], [windowMs])
    const answer = await this.#connection.soon(asked, ANSWER_MS)
    if (!answer) return this.#own.count(key, windowMs)
    const [count, leftMs] = answer as [number, number]
    return { count, leftMs }
  }

  /** Nothing is held; the connection is its maker's. */
  async close(): Promise<void> {}
}
