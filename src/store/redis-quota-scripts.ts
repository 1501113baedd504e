import { redisScript } from './redis-connection.ts'

/**
 * A token bucket that may go into debt, as `TokenBucket`. KEYS: bucket. ARGV: tokens a second, tokens it holds at most, tokens
 * given back (a debt where negative), tokens asked for. Gives the tokens granted, and where there are none the ms to wait.
 */
export const TAKE_TOKENS = redisScript(`
local rate, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local since = math.max(0, now - (tonumber(held[2] or '') or now))
local tokens = math.min(most, (tonumber(held[1] or '') or most) + since * rate / 1000 + tonumber(ARGV[3]))
local granted, wait = 0, 0
if tokens > 0 then
  granted = math.min(tokens, tonumber(ARGV[4]))
  tokens = tokens - granted
else
  wait = math.max(1, math.ceil(-tokens * 1000 / rate))
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.3f', tokens), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((most - tokens) * 1000 / rate) + 1000)
return {string.format('%.3f', granted), wait}
`)

/**
 * Counts series that are seen in this span or were in the last. A span's series lie in buckets, sets of integers small enough
 * that Redis keeps them as plain arrays; all keys of a tenant lie in one slot. KEYS: state (hash: span, its buckets and series,
 * the last span's buckets, series of both). ARGV: base of the buckets' keys, ms of a span, series allowed, buckets of a span that
 * begins, then fingerprint and its low 16 bits of each. Gives the indexes refused.
 */
export const COUNT_SERIES = redisScript(`
local base, spanMs, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local span = math.floor((time[1] * 1000 + time[2] / 1000) / spanMs)
local state = redis.call('HMGET', KEYS[1], 'span', 'buckets', 'present', 'lastBuckets', 'count')
local held = tonumber(state[1] or '-2')
local buckets, present = tonumber(state[2] or '0'), tonumber(state[3] or '0')
local lastBuckets, count = tonumber(state[4] or '0'), tonumber(state[5] or '0')
if held < span then
  lastBuckets = held == span - 1 and buckets or 0
  count = lastBuckets > 0 and present or 0
  buckets, present = tonumber(ARGV[4]), 0
else
  span = held
end
local refused = {}
for i = 5, #ARGV, 2 do
  local one, low = ARGV[i], tonumber(ARGV[i + 1])
  local bucket = base .. ':' .. span .. ':' .. (low % buckets)
  if redis.call('SISMEMBER', bucket, one) == 0 then
    local isKnown = lastBuckets > 0
      and redis.call('SISMEMBER', base .. ':' .. (span - 1) .. ':' .. (low % lastBuckets), one) == 1
    if isKnown or count < most then
      redis.call('SADD', bucket, one)
      if redis.call('SCARD', bucket) == 1 then redis.call('PEXPIRE', bucket, 3 * spanMs) end
      present = present + 1
      if not isKnown then count = count + 1 end
    else
      refused[#refused + 1] = (i - 5) / 2
    end
  end
end
redis.call('HSET', KEYS[1], 'span', span, 'buckets', buckets, 'present', present,
  'lastBuckets', lastBuckets, 'count', count)
redis.call('PEXPIRE', KEYS[1], 3 * spanMs)
return refused
`)
