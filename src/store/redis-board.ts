import { randomUUID } from 'node:crypto'
import type { Disruption } from '../core/disruption.ts'
import type { Board, BoardShard } from '../core/ports.ts'
import { compareOnBoard, GONE_MS, STALE_MS } from './board-order.ts'
import { type RedisConnection, redisScript } from './redis-connection.ts'

/**
 * A shard is three keys in one slot: `state` (hash: version), `rank` (sorted set: `<tenant> <id>` by score, open ones
 * 1000 higher) and `bodies` (hash: member → JSON). All shards' names stand in one sorted set by the time of their last word.
 *
 * Replaces a shard, given what changed since a version. KEYS: state, rank, bodies. ARGV: the version that this builds on or
 * '' to build on nothing, the new version, ms to live, how many go, members that go, then member, score, JSON ('' where it
 * is as before) of all that stay. Gives 1, or 0 when the shard is at another version.
 */
const PUBLISH = redisScript(`
if ARGV[1] == '' then redis.call('DEL', KEYS[2], KEYS[3])
elseif redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
local gone = tonumber(ARGV[4])
for i = 5, 4 + gone do
  redis.call('ZREM', KEYS[2], ARGV[i])
  redis.call('HDEL', KEYS[3], ARGV[i])
end
for i = 5 + gone, #ARGV, 3 do
  redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
  if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 2]) end
end
redis.call('HSET', KEYS[1], 'version', ARGV[2])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[3]) end
return 1
`)

/** Notes a shard's sign of life. KEYS: shards. ARGV: shard, ms after which a silent one is gone. */
const ALIVE = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
return now
`)

/** KEYS: shards. Gives the time, then each shard and when it last spoke. */
const SHARDS = redisScript(`
local time = redis.call('TIME')
return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
`)

/**
 * KEYS: state, rank, bodies. ARGV: the version that the asker has or '', prefix of the members asked for. Gives the version
 * and the bodies; the version alone when the asker has it.
 */
const LIST = redisScript(`
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version == ARGV[1] and version ~= '' then return {version} end
local bodies = {}
for _, member in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do
  if string.sub(member, 1, #ARGV[2]) == ARGV[2] then
    bodies[#bodies + 1] = redis.call('HGET', KEYS[3], member) or nil
  end
end
return {version, bodies}
`)

/** Answers kept, by shard and tenant, so that a page that looks every second costs one small question. */
const KEPT_MAX = 256

interface Published {
  readonly version: string
  /** JSON by member. */
  readonly bodies: ReadonlyMap<string, string>
}

/** The board in Redis: every gateway sees the shards of all stages. What `list` gives is shared: it must not be changed. */
export class RedisBoard implements Board {
  readonly #connection: RedisConnection
  readonly #goneMs: number
  readonly #self = randomUUID()
  #versions = 0
  readonly #published = new Map<string, Published>()
  readonly #publishing = new Map<string, Promise<void>>()
  readonly #kept = new Map<
    string,
    { readonly version: string; readonly disruptions: readonly Disruption[] }
  >()

  constructor(options: { readonly connection: RedisConnection; readonly goneMs?: number }) {
    this.#connection = options.connection
    this.#goneMs = options.goneMs ?? GONE_MS
  }

  /** One after the other by shard. Only what changed since this process's last word is sent. Rejects with FS_IO. */
  publish(shard: string, disruptions: readonly Disruption[]): Promise<void> {
    const bodies = new Map<string, string>()
    const scores = new Map<string, number>()
    for (const disruption of disruptions) {
      const member = `${tenantPrefix(disruption.tenant)}${disruption.id}`
      bodies.set(member, JSON.stringify(disruption))
      scores.set(member, disruption.score + (disruption.status === 'open' ? 1000 : 0))
    }
    const former = this.#publishing.get(shard) ?? Promise.resolve()
    const published = former.then(() => this.#publish(shard, bodies, scores))
    this.#publishing.set(
      shard,
      published.catch(() => {}), // its own caller hears of it
    )
    return published
  }

  async list(tenant?: string): Promise<readonly Disruption[]> {
    const shards = await this.#connection.run('board', client => client.zrange(this.#shardsKey, '0', '-1'))
    const lists = await Promise.all(shards.map(shard => this.#list(shard, tenant)))
    return lists.flat().sort(compareOnBoard)
  }

  async shards(): Promise<readonly BoardShard[]> {
    const answer = await this.#connection.script('board', SHARDS, [this.#shardsKey], [])
    const [nowMs, flat] = answer as [number, string[]]
    const shards: BoardShard[] = []
    for (let i = 0; i + 1 < flat.length; i += 2) {
      const ageMs = Math.max(0, nowMs - Number(flat[i + 1]))
      if (ageMs <= this.#goneMs) shards.push({ shard: flat[i], ageMs, isStale: ageMs > STALE_MS })
    }
    return shards.sort((a, b) => (a.shard < b.shard ? -1 : 1))
  }

  /** Nothing is held; the connection is its maker's. */
  async close(): Promise<void> {}

  get #shardsKey(): string {
    return `${this.#connection.prefix}board:shards`
  }

  #keys(shard: string): string[] {
    const base = `${this.#connection.prefix}board:{${encodeURIComponent(shard)}}:`
    return [`${base}state`, `${base}rank`, `${base}bodies`]
  }

  async #publish(
    shard: string,
    bodies: ReadonlyMap<string, string>,
    scores: ReadonlyMap<string, number>,
  ): Promise<void> {
    const version = `${this.#self} ${++this.#versions}`
    const known = this.#published.get(shard)
    this.#published.delete(shard) // after a failure nobody knows what stands there
    const send = (from: Published | undefined) => {
      const gone = from ? [...from.bodies.keys()].filter(member => !bodies.has(member)) : []
      const args: (string | number)[] = [from?.version ?? '', version, this.#goneMs, gone.length, ...gone]
      for (const [member, json] of bodies)
        args.push(member, scores.get(member) as number, from?.bodies.get(member) === json ? '' : json)
      return this.#connection.script('board', PUBLISH, this.#keys(shard), args)
    }
    // At another version: Redis lost it, or the shard had another owner meanwhile.
    if (!known || (await send(known)) !== 1) await send(undefined)
    this.#published.set(shard, { version, bodies })
    await this.#connection.script('board', ALIVE, [this.#shardsKey], [shard, this.#goneMs])
  }

  async #list(shard: string, tenant: string | undefined): Promise<readonly Disruption[]> {
    const asked = tenant === undefined ? '' : tenantPrefix(tenant)
    const key = `${shard}\n${asked}`
    const kept = this.#kept.get(key)
    const args = [kept?.version ?? '', asked]
    const answer = await this.#connection.script('board', LIST, this.#keys(shard), args)
    const [version, bodies] = answer as [string, string[]?]
    if (!bodies) return kept?.disruptions ?? []
    const disruptions = bodies.map(json => JSON.parse(json) as Disruption)
    this.#kept.delete(key)
    this.#kept.set(key, { version, disruptions })
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value as string)
    return disruptions
  }
}

/** No tenant's is the beginning of another's: spaces in names are encoded. */
function tenantPrefix(tenant: string): string {
  return `${encodeURIComponent(tenant)} `
}
