// The contract of the RecordLog port: order, no entry twice, reading from a place, concurrent appends. Every adapter
// runs it.
import { describe, expect, it } from 'vitest'
import type { RecordEntry, RecordLine, RecordLog } from '../../src/core/ports.ts'
import { anomaly, event } from './samples.ts'

export const audit = (detail: unknown): RecordEntry => ({
  type: 'audit',
  who: 'test',
  action: 'note',
  detail,
})

export async function lines(log: RecordLog, fromSeq?: number): Promise<RecordLine[]> {
  const all: RecordLine[] = []
  for await (const line of log.read(fromSeq)) all.push(line)
  return all
}

export function recordContract(name: string, make: () => Promise<RecordLog>): void {
  describe(`record contract: ${name}`, () => {
    it('reads back what was appended, in order', async () => {
      const log = await make()
      expect(await lines(log)).toEqual([])
      const entries: RecordEntry[] = [
        { type: 'disruption', event: event('dis_a') },
        { type: 'anomaly', event: 'opened', anomaly: anomaly('ano_a') },
        { type: 'change', change: { id: 'c', timeMs: 5, entity: 'checkout', kind: 'deploy', ref: 'v2' } },
        audit({ text: 'quote " newline \n line\u2028separator \\ ünïcode', nested: [1, -0.5, null, true] }),
      ]
      for (const [i, entry] of entries.entries())
        expect(await log.append(`id ${i} "\n`, 1000.5 + i, entry)).toBe(true)
      expect(await lines(log)).toEqual(
        entries.map((entry, i) => ({ seq: i + 1, timeMs: 1000.5 + i, id: `id ${i} "\n`, entry })),
      )
      await log.close()
    })

    it('appends an id once, also when asked twice at the same time', async () => {
      const log = await make()
      const asked = [1, 1, 2, 1, 2].map(i => log.append(`id${i}`, i, audit(i)))
      expect(await Promise.all(asked)).toEqual([true, false, true, false, false])
      expect(await log.append('id1', 9, audit(9))).toBe(false)
      expect((await lines(log)).map(line => line.id)).toEqual(['id1', 'id2'])
      await log.close()
    })

    it('reads from a sequence number', async () => {
      const log = await make()
      await Promise.all(Array.from({ length: 300 }, (_, i) => log.append(`id${i}`, i, audit('x'.repeat(i)))))
      expect((await lines(log, 299)).map(line => line.seq)).toEqual([299, 300])
      expect((await lines(log, 301)).length).toBe(0)
      expect((await lines(log)).map(line => line.seq)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
      await log.close()
    })

    it('keeps what was appended, whatever its owner does next', async () => {
      const log = await make()
      const detail = { value: 1 }
      await log.append('id', 0, audit(detail))
      detail.value = 2
      expect((await lines(log))[0].entry).toEqual(audit({ value: 1 }))
      await log.close()
    })
  })
}
