// Shows that row numbers sorted by radix are as a stable sort by comparison has them, for keys of every size.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RadixSort } from '../../src/math/radix-sort.ts'

it('sorts row numbers by their keys and leaves equal ones in their order', () => {
  const sorter = new RadixSort(3000)
  const keysArb = fc
    .constantFrom(0, 3, 2047, 2048, 1 << 22, 0xffff_ffff)
    .chain(max => fc.array(fc.integer({ min: 0, max }), { maxLength: 3000 }))
  fc.assert(
    fc.property(keysArb, fc.nat(), (drawn, turn) => {
      const keys = Uint32Array.from(drawn)
      const order = Uint32Array.from(keys, (_, i) => (i + turn) % keys.length)
      const length = Math.floor(order.length * 0.9)
      const expected = [...order.subarray(0, length)].sort((a, b) => keys[a] - keys[b])
      const rest = [...order.subarray(length)]
      sorter.sort(order, length, keys)
      expect([...order]).toEqual([...expected, ...rest])
    }),
  )
})
