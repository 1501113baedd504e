import { redisScript } from './redis-connection.ts'

/**
 * The head of a name's checkpoints is a hash: `epoch` of the newest claim, the `fleet` that claims, and the manifests of
 * the `newest` checkpoint and the `former` one. A manifest is JSON with the `id` of its chunks and their digests; chunk i stands at
 * `<base><id>:<i>`. All keys of a name lie in one slot.
 */

/**
 * A new epoch, above every one before it: the server's clock in µs keeps that true when the server has lost what it held.
 * A Redis that is full refuses a script's first write if it may take memory, and lets what follows it through: so the first one
 * removes a field that is never there. Otherwise a partition that moves while Redis is full would be scored by nobody, for want of
 * twenty bytes.
 * What another fleet learned is not touched: its positions are in a log of its own.
 * KEYS: head. ARGV: fleet, or nothing. Gives the epoch, or FOREIGN and the other fleet.
 */
export const CLAIM = redisScript(`
local fleet = redis.call('HGET', KEYS[1], 'fleet')
if fleet and ARGV[1] ~= '' and fleet ~= ARGV[1] then return 'FOREIGN ' .. fleet end
local before = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
local time = redis.call('TIME')
local epoch = string.format('%.0f', math.max(before + 1, time[1] * 1000000 + time[2]))
redis.call('HDEL', KEYS[1], 'room')
redis.call('HSET', KEYS[1], 'epoch', epoch)
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'fleet', ARGV[1]) end
return epoch
`)

/**
 * Makes a checkpoint the newest, if all its chunks are there and nobody claimed the name since; the one before the former
 * is let go. Asked again because an answer was lost, it changes nothing. What may be refused when memory is full comes first, so that all of it happens or nothing.
 * KEYS: head, chunks. ARGV: epoch, manifest, base. Gives SAVED, FENCED or LOST.
 */
export const COMMIT = redisScript(`
local held = redis.call('HMGET', KEYS[1], 'epoch', 'newest', 'former')
if held[2] == ARGV[2] then return 'SAVED' end
if tonumber(held[1] or '0') > tonumber(ARGV[1]) then return 'FENCED' end
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return 'LOST' end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'newest', ARGV[2], 'former', held[2] or '')
for i = 2, #KEYS do redis.call('PERSIST', KEYS[i]) end
local known, old = pcall(cjson.decode, held[3] or '')
if known and type(old) == 'table' and type(old.chunks) == 'table' then
  for i = 0, #old.chunks - 1 do redis.call('UNLINK', ARGV[3] .. old.id .. ':' .. i) end
end
return 'SAVED'
`)

/**
 * Removes the chunks of a save that failed, unless it is in the head all the same: its answer was lost.
 * KEYS: head, chunks. ARGV: id.
 */
export const DISCARD = redisScript(`
for _, text in ipairs(redis.call('HMGET', KEYS[1], 'newest', 'former')) do
  local known, manifest = pcall(cjson.decode, text or '')
  if known and type(manifest) == 'table' and manifest.id == ARGV[1] then return 0 end
end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
`)
