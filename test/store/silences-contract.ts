// The contract of the SharedSilences port: what each source has is read everywhere, each silence once. Every adapter runs it.
import { describe, expect, it } from 'vitest'
import type { SharedSilences } from '../../src/core/ports.ts'

const silence = (id: string) => ({
  id,
  matchers: [{ name: 'entity', value: `ch.*${id}`, isRegex: true, isEqual: true }],
})
const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id).sort()

/** `make` gives two processes' views of one set. */
export function silencesContract(name: string, make: () => [SharedSilences, SharedSilences]): void {
  describe(`silences contract: ${name}`, () => {
    it('shows those of all sources, each once, and what replaced them', async () => {
      const [a, b] = make()
      expect(await b.list()).toEqual([])
      await a.publish('http://one', [silence('x'), silence('y')])
      await a.publish('http://two', [silence('y'), silence('z')])
      expect(ids(await b.list())).toEqual(['x', 'y', 'z'])
      expect((await b.list()).find(({ id }) => id === 'x')).toEqual(silence('x'))
      await b.publish('http://one', [])
      expect(ids(await a.list())).toEqual(['y', 'z'])
    })
  })
}
