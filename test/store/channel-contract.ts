// The contract of the Channel port: whoever listens to a topic hears what is said there, once and in order. Every adapter
// runs it.
import { describe, expect, it, vi } from 'vitest'
import type { Channel } from '../../src/core/ports.ts'

/** `make` gives two processes' views of one channel. */
export function channelContract(name: string, make: () => [Channel, Channel]): void {
  describe(`channel contract: ${name}`, () => {
    it('reaches every listener of a topic, and no other', async () => {
      const [a, b] = make()
      const heard: string[] = []
      await a.subscribe('models', text => heard.push(`a ${text}`))
      await b.subscribe('models', text => heard.push(`b ${text}`))
      await b.subscribe('models', text => heard.push(`b2 ${text}`))
      await b.subscribe('other', text => heard.push(`other ${text}`))
      await a.publish('models', 'flip ü\n')
      await vi.waitFor(() => expect([...heard].sort()).toEqual(['a flip ü\n', 'b flip ü\n', 'b2 flip ü\n']))
      await b.publish('nobody', 'x')
      await b.publish('other', 'y')
      await vi.waitFor(() => expect(heard).toHaveLength(4))
      expect(heard[3]).toBe('other y')
    })

    it('keeps the order of one speaker', async () => {
      const [a, b] = make()
      const heard: string[] = []
      await b.subscribe('count', text => heard.push(text))
      const said = Array.from({ length: 200 }, (_, i) => String(i))
      await Promise.all(said.map(text => a.publish('count', text)))
      await vi.waitFor(() => expect(heard).toHaveLength(200))
      expect(heard).toEqual(said)
    })
  })
}
