// Shows that keys hash as in Apache Kafka: the values are those of its own test of Utils.murmur2.
import { describe, expect, it } from 'vitest'
import { murmur2 } from '../../src/math/murmur2.ts'

describe('murmur2', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ])('of %s', (text, hash) => {
    expect(murmur2(new TextEncoder().encode(text))).toBe(hash)
  })
})
