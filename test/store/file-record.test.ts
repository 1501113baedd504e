// The file record keeps the contract of the port; a tail torn at any byte is cut, every single flipped byte, removed,
// swapped or repeated line and a removed end are found with file and line, kill -9 loses nothing acknowledged, and a
// full disk refuses entries without breaking the chain.
import { cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { FileRecord, HEAD_FILE } from '../../src/store/file-record.ts'
import { verifyRecord } from '../../src/store/verify-record.ts'
import { killedWriter } from '../killed-writer.ts'
import { withSmallDisk } from '../peers/small-disk.ts'
import { audit, lines, recordContract } from './record-contract.ts'

const root = mkdtempSync(join(tmpdir(), 'foreshock-record-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let made = 0
const folder = () => join(root, String(made++))
const segments = (dir: string) =>
  readdirSync(dir)
    .filter(name => name.endsWith('.jsonl'))
    .sort()

recordContract('file', () => FileRecord.open({ dir: folder() }))
recordContract('file in tiny segments', () => FileRecord.open({ dir: folder(), segmentBytes: 500 }))

async function written(count: number, segmentBytes?: number): Promise<string> {
  const dir = folder()
  const log = await FileRecord.open({ dir, ...(segmentBytes ? { segmentBytes } : {}) })
  for (let i = 1; i <= count; i++) await log.append(`id${i}`, i, audit(`entry ${i}`))
  await log.close()
  return dir
}

describe('file record', () => {
  it('goes on after a close: chain, numbers and known ids', async () => {
    const dir = await written(30, 1000)
    const log = await FileRecord.open({ dir, segmentBytes: 1000 })
    expect(log.head.seq).toBe(30)
    for (let i = 1; i <= 30; i++) expect(await log.append(`id${i}`, i, audit(0))).toBe(false)
    expect(await log.append('id31', 31, audit('entry 31'))).toBe(true)
    await log.close()
    expect(segments(dir).length).toBeGreaterThan(5)
    const report = await verifyRecord(dir)
    expect(report).toMatchObject({
      segments: segments(dir).length,
      entries: 31,
      seq: 31,
      anchor: 'matches',
      tornTail: false,
    })
    expect(report.hash).toBe(log.head.hash)
    expect(report.firstBreak).toBeUndefined()
  })

  it('forgets ids beyond its bound, oldest first', async () => {
    const dir = await written(30)
    const log = await FileRecord.open({ dir, idsKept: 10 })
    expect(await log.append('id30', 0, audit(0))).toBe(false)
    expect(await log.append('id21', 0, audit(0))).toBe(false)
    expect(await log.append('id1', 0, audit(0))).toBe(true)
    await log.close()
  })

  it('cuts a torn tail at any byte of the last line', async () => {
    const dir = await written(3)
    await rm(join(dir, HEAD_FILE))
    const path = join(dir, segments(dir)[0])
    const whole = readFileSync(path)
    const lastStart = whole.lastIndexOf(10, whole.length - 2) + 1
    for (let cut = lastStart; cut < whole.length; cut += 7) {
      writeFileSync(path, whole.subarray(0, cut))
      await rm(join(dir, HEAD_FILE), { force: true })
      if (cut > lastStart) expect((await verifyRecord(dir)).tornTail).toBe(true)
      const log = await FileRecord.open({ dir })
      expect(log.head.seq).toBe(2)
      expect(await log.append('id3', 3, audit('again'))).toBe(true)
      await log.close()
      expect((await verifyRecord(dir)).firstBreak).toBeUndefined()
    }
  })

  it('cuts unpromised lines that reached the disk out of order', async () => {
    const dir = await written(5)
    const path = join(dir, segments(dir)[0])
    const text = readFileSync(path, 'utf8').split('\n')
    const head = JSON.parse(text[2]) as { seq: number; hash: string }
    writeFileSync(join(dir, HEAD_FILE), `${JSON.stringify({ seq: head.seq, hash: head.hash })}\n`)
    text[3] = '\0'.repeat(text[3].length)
    writeFileSync(path, text.join('\n'))
    const log = await FileRecord.open({ dir })
    expect(log.head.seq).toBe(3)
    await log.close()
  })

  it('finds any single changed byte, with its file and line', async () => {
    const dir = await written(20, 1000)
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (which, where, flip) => {
        const copy = folder()
        cpSync(dir, copy, { recursive: true })
        const name = segments(copy)[which % segments(copy).length]
        const bytes = readFileSync(join(copy, name))
        const at = where % bytes.length
        const line = bytes.subarray(0, at).filter(byte => byte === 10).length + 1
        bytes[at] ^= flip
        writeFileSync(join(copy, name), bytes)
        const { firstBreak, tornTail } = await verifyRecord(copy)
        expect(firstBreak).toBeDefined()
        if (!tornTail) expect([firstBreak?.file, firstBreak?.line]).toEqual([name, line])
      }),
      { numRuns: 150 },
    )
  })

  it('finds lines removed, swapped, repeated and rewritten', async () => {
    const dir = await written(10)
    const path = join(dir, segments(dir)[0])
    const good = readFileSync(path, 'utf8').trimEnd().split('\n')
    const cases: [string[], number, string][] = [
      [good.toSpliced(4, 1), 5, 'entries are missing or repeated'],
      [good.toSpliced(4, 2, good[5], good[4]), 5, 'entries are missing or repeated'],
      [good.toSpliced(4, 0, good[4]), 6, 'entries are missing or repeated'],
      [good.toSpliced(4, 1, good[4].replace('entry 5', 'entry 6')), 5, 'its content has hash'],
      [good.slice(0, 7), 0, 'the last entries are missing'],
    ]
    for (const [text, line, reason] of cases) {
      writeFileSync(path, `${text.join('\n')}\n`)
      const { firstBreak } = await verifyRecord(dir)
      expect(firstBreak).toMatchObject({ line })
      expect(firstBreak?.reason).toContain(reason)
      await expect(FileRecord.open({ dir })).rejects.toMatchObject({ code: 'FS_LOG_CORRUPT' })
    }
    await rm(join(dir, HEAD_FILE))
    const log = await FileRecord.open({ dir }) // the loss of the end is accepted by removing the head file
    expect(log.head.seq).toBe(7)
    await log.close()
  })

  it('finds a chain rewritten from its beginning', async () => {
    const dir = await written(5)
    const other = folder()
    const forged = await FileRecord.open({ dir: other })
    for (let i = 1; i <= 5; i++) await forged.append(`id${i}`, i, audit(`forged ${i}`))
    await forged.close()
    cpSync(join(other, segments(other)[0]), join(dir, segments(dir)[0]))
    expect((await verifyRecord(dir)).firstBreak).toMatchObject({ file: HEAD_FILE })
  })

  it('loses nothing that was acknowledged when the process is killed', async () => {
    const dir = folder()
    for (let round = 0; round < 3; round++) {
      const numbers = await killedWriter(
        join(import.meta.dirname, 'record-writer.ts'),
        dir,
        1500 + round * 777,
      )
      expect(numbers.length).toBeGreaterThan(100)
      const log = await FileRecord.open({ dir })
      const ids = new Set((await lines(log)).map(line => line.id))
      for (const n of numbers) expect(ids.has(`id${n}`)).toBe(true)
      await log.close()
      expect((await verifyRecord(dir)).firstBreak).toBeUndefined()
    }
  })

  it('refuses entries on a full disk and takes them again when there is space', async context => {
    const ran = await withSmallDisk(1_000_000, async disk => {
      const dir = join(disk, 'record')
      const log = await FileRecord.open({ dir, segmentBytes: 200_000 })
      const ballast = join(disk, 'ballast')
      writeFileSync(ballast, Buffer.alloc(400_000))
      const refused: number[] = []
      for (let i = 1; i <= 12; i++) {
        await log.append(`id${i}`, i, audit('d'.repeat(100_000))).catch(error => {
          expect(error).toMatchObject({ code: 'FS_IO' })
          refused.push(i)
        })
      }
      expect(refused.length).toBeGreaterThan(3)
      await rm(ballast)
      for (const i of refused.slice(0, 3)) expect(await log.append(`id${i}`, i, audit('small'))).toBe(true)
      await log.close()
      const report = await verifyRecord(dir)
      expect(report.firstBreak).toBeUndefined()
      expect(report.entries).toBe(12 - refused.length + 3)
    })
    if (!ran) context.skip('a small tmpfs cannot be mounted here: run as root on Linux')
  })
})
