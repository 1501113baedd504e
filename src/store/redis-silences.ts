import { type Clock, systemClock } from '../core/clock.ts'
import type { SharedSilences } from '../core/ports.ts'
import type { Silence } from '../core/silence.ts'
import { SILENCES_LAST_MS } from './memory-silences.ts'
import { type RedisConnection, redisScript } from './redis-connection.ts'

/** KEYS: silences. ARGV: source, JSON, ms that they last. */
const PUBLISH = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`)
/** KEYS: silences. Gives the time and what each source said, with when. */
const LIST = redisScript(`
local time = redis.call('TIME')
return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('HVALS', KEYS[1])}
`)
/** Redis is asked again after so long, ms; the board is looked at more often. */
const FRESH_MS = 2000

/** Silences in Redis. While it is away, what was last known holds. */
export class RedisSilences implements SharedSilences {
  readonly #connection: RedisConnection
  readonly #clock: Clock
  readonly #freshMs: number
  #known: readonly Silence[] = []
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(options: {
    readonly connection: RedisConnection
    readonly clock?: Clock
    readonly freshMs?: number
  }) {
    this.#connection = options.connection
    this.#clock = options.clock ?? systemClock
    this.#freshMs = options.freshMs ?? FRESH_MS
  }

  async publish(source: string, silences: readonly Silence[]): Promise<void> {
    const args = [source, JSON.stringify(silences), SILENCES_LAST_MS]
    await this.#connection.script('silences', PUBLISH, [this.#key], args)
    this.#askedMs = Number.NEGATIVE_INFINITY
  }

  /** Never rejects. */
  async list(): Promise<readonly Silence[]> {
    const nowMs = this.#clock()
    if (Math.abs(nowMs - this.#askedMs) < this.#freshMs) return this.#known
    this.#askedMs = nowMs
    try {
      const answer = await this.#connection.script('silences', LIST, [this.#key], [])
      const [serverMs, words] = answer as [number, string[]]
      const byId = new Map<string, Silence>()
      for (const word of words) {
        const at = word.indexOf(' ')
        if (serverMs - Number(word.slice(0, at)) > SILENCES_LAST_MS) continue
        for (const silence of JSON.parse(word.slice(at + 1)) as Silence[]) byId.set(silence.id, silence)
      }
      this.#known = [...byId.values()]
    } catch {
      // away: asked again by the next one after a while
    }
    return this.#known
  }

  /** Nothing is held; the connection is its maker's. */
  async close(): Promise<void> {}

  get #key(): string {
    return `${this.#connection.prefix}silences`
  }
}
