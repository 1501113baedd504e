// The file journal keeps the contract of the port and survives what disks and crashes do: a reopening, a tail torn
// at any byte, damage in the middle, kill -9 of a writing process, and a full disk (a small tmpfs, where the test
// may mount one).
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { FileJournal } from '../../src/bus/file-journal.ts'
import { killedWriter } from '../killed-writer.ts'
import { withSmallDisk } from '../peers/small-disk.ts'
import { envelope, journalContract, texts } from './journal-contract.ts'

const root = mkdtempSync(join(tmpdir(), 'foreshock-journal-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let made = 0
const folder = () => join(root, String(made++))
const files = (dir: string) => readdirSync(dir).sort()

journalContract('file', () => FileJournal.open({ dir: folder() }))
journalContract('file in tiny segments', () => FileJournal.open({ dir: folder(), segmentBytes: 100 }))

describe('file journal', () => {
  it('is there again after a close, and positions go on', async () => {
    const dir = folder()
    for (let round = 0; round < 3; round++) {
      const journal = await FileJournal.open({ dir, segmentBytes: 500 })
      expect(journal.end).toBe(round * 10)
      for (let i = 0; i < 10; i++) await journal.sync(journal.append(envelope(`${round}.${i}`)))
      await journal.close()
    }
    const journal = await FileJournal.open({ dir })
    expect((await texts(journal)).map(([p]) => p)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
    await journal.close()
  })

  it('deletes segments wholly committed, and an emptied journal still knows its end', async () => {
    const dir = folder()
    let journal = await FileJournal.open({ dir, segmentBytes: 500 })
    for (let i = 1; i <= 40; i++) await journal.sync(journal.append(envelope('x'.repeat(100))))
    const before = files(dir).length
    expect(before).toBeGreaterThan(4)
    await journal.commit(20)
    expect(files(dir).length).toBeLessThan(before)
    expect((await texts(journal, 20)).map(([p]) => p)).toEqual(Array.from({ length: 20 }, (_, i) => i + 21))
    await journal.commit(40)
    expect(files(dir).length).toBe(1)
    await journal.close()
    journal = await FileJournal.open({ dir })
    expect(journal.end).toBe(40)
    await journal.close()
  })

  it('never hands out a position at or below the checkpoint', async () => {
    const journal = await FileJournal.open({ dir: folder(), after: 1234 })
    expect(journal.append(envelope('a'))).toBe(1235)
    await journal.close()
  })

  it('refuses when too much waits for the disk', async () => {
    const journal = await FileJournal.open({ dir: folder(), pendingBytesMax: 1000 })
    journal.append(envelope('x'.repeat(900)))
    expect(() => journal.append(envelope('x'.repeat(900)))).toThrow(
      expect.objectContaining({ code: 'FS_OVERLOADED' }),
    )
    await journal.sync(1)
    expect(journal.append(envelope('x'.repeat(900)))).toBe(2)
    await journal.close()
  })

  it('takes an envelope that is longer than all that may wait, when nothing does', async () => {
    const journal = await FileJournal.open({ dir: folder(), pendingBytesMax: 1000 })
    const long = envelope('x'.repeat(5000))
    await journal.sync(journal.append(long))
    journal.append(envelope('y'))
    expect(() => journal.append(long)).toThrow(/wait/)
    await journal.close()
  })

  it('cuts a torn tail at any byte and keeps everything before it', async () => {
    const dir = folder()
    const writer = await FileJournal.open({ dir })
    for (let i = 1; i <= 5; i++) await writer.sync(writer.append(envelope(`envelope ${i}`)))
    await writer.close()
    const path = join(dir, files(dir)[0])
    const whole = readFileSync(path)
    const frameBytes = (whole.length - 16) / 5
    for (let cut = 0; cut < whole.length; cut++) {
      writeFileSync(path, whole.subarray(0, cut))
      const journal = await FileJournal.open({ dir })
      const kept = Math.max(0, Math.floor((cut - 16) / frameBytes))
      expect(journal.end, `cut at ${cut}`).toBe(kept)
      await journal.sync(journal.append(envelope('after')))
      expect((await texts(journal)).at(-1)).toEqual([kept + 1, 'after'])
      await journal.close()
    }
  })

  it('cuts off a tail of noise or zeros', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(2), async (noise, zeros) => {
        const dir = folder()
        const writer = await FileJournal.open({ dir })
        await writer.sync(writer.append(envelope('kept')))
        await writer.close()
        const path = join(dir, files(dir)[0])
        writeFileSync(path, Buffer.concat([readFileSync(path), noise, Buffer.alloc(zeros * 5000)]))
        const journal = await FileJournal.open({ dir })
        expect(await texts(journal)).toEqual([[1, 'kept']])
        await journal.close()
      }),
      { numRuns: 50 },
    )
  })

  it('takes a body that holds the image of a frame for what it is', async () => {
    const dir = folder()
    const first = await FileJournal.open({ dir: folder() })
    for (let i = 0; i < 3; i++) await first.sync(first.append(envelope('forged')))
    await first.close()
    const image = readFileSync(join(root, String(made - 1), files(join(root, String(made - 1)))[0]))
    const writer = await FileJournal.open({ dir })
    await writer.sync(writer.append(envelope('', { bytes: image })))
    await writer.close()
    const path = join(dir, files(dir)[0])
    truncateSync(path, statSync(path).size - 1)
    const journal = await FileJournal.open({ dir })
    expect(journal.end).toBe(0)
    await journal.close()
  })

  it('names file and byte when something promised is damaged', async () => {
    const dir = folder()
    const writer = await FileJournal.open({ dir, segmentBytes: 300 })
    for (let i = 1; i <= 12; i++)
      await writer.sync(writer.append(envelope(`envelope ${i} ${'y'.repeat(50)}`)))
    await writer.close()
    for (const name of [files(dir)[0], files(dir).at(-1) as string]) {
      const path = join(dir, name)
      const good = readFileSync(path)
      const bad = Buffer.from(good)
      bad[16 + 60] ^= 1
      writeFileSync(path, bad)
      const failure = await FileJournal.open({ dir })
        .then(async journal => {
          try {
            await texts(journal)
          } finally {
            await journal.close()
          }
        })
        .catch(error => error)
      expect(failure).toMatchObject({ code: 'FS_LOG_CORRUPT' })
      expect(failure.message).toContain(`${name}, byte 16`)
      writeFileSync(path, good)
    }
  })

  it('loses nothing that was acknowledged when the process is killed', async () => {
    const dir = folder()
    let acknowledged = 0
    for (let round = 0; round < 3; round++) {
      const positions = await killedWriter(
        join(import.meta.dirname, 'journal-writer.ts'),
        dir,
        1500 + round * 777,
      )
      expect(positions.length).toBeGreaterThan(100)
      acknowledged = Math.max(acknowledged, ...positions)
      const journal = await FileJournal.open({ dir })
      expect(journal.end).toBeGreaterThanOrEqual(acknowledged)
      const read = await texts(journal)
      expect(read.length).toBe(journal.end)
      for (const [position, text] of read) {
        expect(text).toBe(`envelope ${position} ${'z'.repeat((position - 1) % 3000)}`)
      }
      await journal.close()
    }
  })

  it('recovers from a full disk', async context => {
    const ran = await withSmallDisk(2_000_000, async disk => {
      const dir = join(disk, 'journal')
      const journal = await FileJournal.open({ dir, segmentBytes: 300_000 })
      const ballast = join(disk, 'ballast')
      writeFileSync(ballast, Buffer.alloc(1_000_000))
      let failed = 0
      let synced = 0
      for (let i = 0; i < 20 && failed < 3; i++) {
        const position = journal.append(envelope('d'.repeat(100_000)))
        await journal.sync(position).then(
          () => {
            synced = position
          },
          error => {
            expect(error).toMatchObject({ code: 'FS_IO' })
            failed++
          },
        )
      }
      expect(failed).toBe(3)
      expect(synced).toBeGreaterThan(3)
      const crashed = await FileJournal.open({ dir: copied(dir) })
      expect(crashed.end).toBe(synced)
      await crashed.close()
      await rm(ballast)
      await journal.sync(journal.append(envelope('space again')))
      await journal.close()
      const again = await FileJournal.open({ dir })
      const read = await texts(again)
      expect(read.map(([p]) => p)).toEqual(Array.from({ length: synced + 4 }, (_, i) => i + 1))
      expect(read.at(-1)?.[1]).toBe('space again')
      await again.close()
    })
    if (!ran) context.skip('a small tmpfs cannot be mounted here: run as root on Linux')
  })
})

function copied(dir: string): string {
  const to = folder()
  execFileSync('cp', ['-r', dir, to])
  return to
}
