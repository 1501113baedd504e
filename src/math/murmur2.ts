/**
 * MurmurHash2, 32 bits, as Apache Kafka's default partitioner computes it (org.apache.kafka.common.utils.Utils.murmur2,
 * after Austin Appleby's public-domain algorithm), so that every producer of the world agrees on a key's partition.
 */
export function murmur2(bytes: Uint8Array): number {
  const M = 0x5bd1e995
  const { length } = bytes
  let hash = 0x9747b28c ^ length
  const whole = length & ~3
  for (let i = 0; i < whole; i += 4) {
    let word = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)
    word = Math.imul(word, M)
    word ^= word >>> 24
    hash = Math.imul(hash, M) ^ Math.imul(word, M)
  }
  const rest = length & 3
  if (rest >= 3) hash ^= bytes[whole + 2] << 16
  if (rest >= 2) hash ^= bytes[whole + 1] << 8
  if (rest >= 1) hash = Math.imul(hash ^ bytes[whole], M)
  hash ^= hash >>> 13
  hash = Math.imul(hash, M)
  return hash ^ (hash >>> 15)
}
