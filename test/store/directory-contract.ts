// The contract of the Directory port: what is announced is found until its time is over. Every adapter runs it.
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Directory } from '../../src/core/ports.ts'

/** `make` gives two processes' views of one directory. */
export function directoryContract(name: string, make: () => [Directory, Directory]): void {
  describe(`directory contract: ${name}`, () => {
    it('finds what was announced last', async () => {
      const [a, b] = make()
      expect(await b.find('stage/0')).toBeUndefined()
      await a.announce('stage/0', 'http://10.0.0.1:8080', 60_000)
      expect(await b.find('stage/0')).toBe('http://10.0.0.1:8080')
      await b.announce('stage/0', 'http://[::1]:8080', 60_000)
      expect(await a.find('stage/0')).toBe('http://[::1]:8080')
      expect(await a.find('stage/1')).toBeUndefined()
    })

    it('forgets what is not announced again', async () => {
      const [a, b] = make()
      await a.announce('stage/2', 'http://10.0.0.2:8080', 30)
      await a.announce('stage/3', 'http://10.0.0.2:8080', 30)
      await a.announce('stage/3', 'http://10.0.0.2:8080', 60_000)
      await wait(60)
      expect(await b.find('stage/2')).toBeUndefined()
      expect(await b.find('stage/3')).toBe('http://10.0.0.2:8080')
    })
  })
}
