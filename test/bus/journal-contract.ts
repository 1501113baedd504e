// The contract of the Journal port: order, positions, durability calls, reading from a place, committing. Every
// adapter runs it.
import { describe, expect, it } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import type { Journal, Position } from '../../src/core/ports.ts'

export function envelope(text: string, more: Partial<Envelope> = {}): Envelope {
  return {
    kind: 'json-lines',
    encoding: 'identity',
    arrivalMs: 1_700_000_000_000.5,
    tenant: 'default',
    bytes: Buffer.from(text),
    ...more,
  }
}

export async function texts(journal: Journal, after: Position = 0): Promise<[Position, string][]> {
  const all: [Position, string][] = []
  for await (const { position, envelope } of journal.read(after)) {
    all.push([position, Buffer.from(envelope.bytes).toString()])
  }
  return all
}

export function journalContract(name: string, make: () => Promise<Journal>): void {
  describe(`journal contract: ${name}`, () => {
    it('is empty at first', async () => {
      const journal = await make()
      expect(journal.end).toBe(0)
      expect(await texts(journal)).toEqual([])
      await journal.sync(0)
      await journal.close()
    })

    it('keeps envelopes whole and in order, synced or not', async () => {
      const journal = await make()
      const kinds = [
        'remote-write-1',
        'remote-write-2',
        'otlp-protobuf',
        'otlp-json',
        'change',
        'tick',
      ] as const
      const given = kinds.map((kind, i) =>
        envelope('x'.repeat(i * 1000), {
          kind,
          encoding: (['identity', 'gzip', 'snappy'] as const)[i % 3],
          arrivalMs: i + 0.25,
          tenant: `tenant-${i}-ä`,
        }),
      )
      const positions = given.map(one => journal.append(one))
      expect(positions).toEqual([1, 2, 3, 4, 5, 6])
      await journal.sync(3)
      journal.append(envelope('last'))
      expect(journal.end).toBe(7)
      const read = []
      for await (const { position, envelope } of journal.read(0)) {
        read.push({ position, envelope: { ...envelope, bytes: Buffer.from(envelope.bytes) } })
      }
      expect(read.slice(0, 6)).toEqual(
        given.map((one, i) => ({ position: i + 1, envelope: { ...one, bytes: Buffer.from(one.bytes) } })),
      )
      expect(read.length).toBe(7)
      await journal.close()
    })

    it('looks at what it took until it is durable, then the caller may reuse its buffer', async () => {
      const journal = await make()
      const bytes = Buffer.from('before')
      journal.append(envelope('', { bytes }))
      expect(await texts(journal)).toEqual([[1, 'before']])
      await journal.sync(1)
      bytes.write('after!')
      expect(await texts(journal)).toEqual([[1, 'before']])
      await journal.close()
    })

    it('reads after a position, to the end as it stood', async () => {
      const journal = await make()
      for (let i = 1; i <= 20; i++) journal.append(envelope(String(i)))
      await journal.sync(20)
      expect((await texts(journal, 17)).map(([p]) => p)).toEqual([18, 19, 20])
      expect(await texts(journal, 20)).toEqual([])
      const seen: number[] = []
      for await (const { position } of journal.read(15)) {
        seen.push(position)
        if (position < 40) await journal.sync(journal.append(envelope('while reading')))
      }
      expect(seen).toEqual([16, 17, 18, 19, 20])
      await journal.close()
    })

    it('serves concurrent syncs', async () => {
      const journal = await make()
      const waits: Promise<void>[] = []
      for (let i = 1; i <= 500; i++) waits.push(journal.sync(journal.append(envelope(`e${i}`))))
      await Promise.all(waits)
      expect((await texts(journal)).length).toBe(500)
      await journal.close()
    })

    it('goes on after a commit', async () => {
      const journal = await make()
      for (let i = 1; i <= 10; i++) journal.append(envelope(String(i)))
      await journal.sync(10)
      await journal.commit(10)
      expect(journal.end).toBe(10)
      expect(journal.append(envelope('next'))).toBe(11)
      expect(await texts(journal, 10)).toEqual([[11, 'next']])
      await journal.close()
    })
  })
}
