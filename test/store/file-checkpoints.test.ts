// The file checkpoints keep the contract of the port; a damaged or cut newest one falls back to the one before with a
// warning; kill -9 at any moment leaves a whole one; a full disk leaves the former one; and saving many series stays
// far below the memory that one buffer of all would take.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { FileCheckpoints } from '../../src/store/file-checkpoints.ts'
import { withSmallDisk } from '../peers/small-disk.ts'
import { checkpointContract, checkpointOf } from './checkpoint-contract.ts'

const root = mkdtempSync(join(tmpdir(), 'foreshock-checkpoints-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let made = 0
const folder = () => join(root, String(made++))

checkpointContract('file', () => new FileCheckpoints({ dir: folder() }))

describe('file checkpoints', () => {
  it('keeps two', async () => {
    const dir = folder()
    const store = new FileCheckpoints({ dir })
    for (let position = 1; position <= 4; position++) await store.save(checkpointOf(3, position))
    expect(readdirSync(dir).sort()).toEqual(['checkpoint-0000000003.bin', 'checkpoint-0000000004.bin'])
  })

  it('falls back to the one before when the newest is damaged or cut anywhere', async () => {
    const dir = folder()
    const warnings: string[] = []
    const store = new FileCheckpoints({ dir, onWarning: text => warnings.push(text) })
    await store.save(checkpointOf(5, 1))
    await store.save(checkpointOf(5, 2))
    const newest = join(dir, 'checkpoint-0000000002.bin')
    const good = readFileSync(newest)
    for (let at = 0; at < good.length; at += 23) {
      const flipped = Buffer.from(good)
      flipped[at] ^= 16
      for (const bad of [flipped, good.subarray(0, at)]) {
        writeFileSync(newest, bad)
        warnings.length = 0
        expect((await store.load())?.position).toBe(1)
        expect(warnings).toEqual([expect.stringContaining('checkpoint-0000000002.bin cannot be read')])
      }
    }
    await store.save(checkpointOf(5, 3))
    expect((await store.load())?.position).toBe(3)
  })

  it('answers with nothing when all are damaged', async () => {
    const dir = folder()
    const warnings: string[] = []
    const store = new FileCheckpoints({ dir, onWarning: text => warnings.push(text) })
    await store.save(checkpointOf(5, 1))
    writeFileSync(join(dir, 'checkpoint-0000000001.bin'), 'x'.repeat(500))
    expect(await store.load()).toBeUndefined()
    expect(warnings.length).toBe(1)
  })

  it('leaves a whole one when the process is killed while saving', async () => {
    const dir = folder()
    for (let round = 0; round < 4; round++) {
      const writer = join(import.meta.dirname, 'checkpoint-writer.ts')
      const child = spawn(process.execPath, ['--import', 'tsx', writer, dir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let printed = ''
      child.stdout.on('data', chunk => {
        printed += chunk
        if (printed.split('\n').length > 6 + round) setTimeout(() => child.kill('SIGKILL'), round)
      })
      await once(child, 'close')
      const acknowledged = Number(printed.split('\n').at(-2))
      const warnings: string[] = []
      const loaded = await new FileCheckpoints({ dir, onWarning: text => warnings.push(text) }).load()
      expect(warnings).toEqual([])
      const position = loaded?.position ?? 0
      expect(position).toBeGreaterThanOrEqual(acknowledged)
      expect(loaded).toEqual(checkpointOf(500 + (position % 100), position))
    }
  })

  it('leaves the former one when the disk is full', async context => {
    const ran = await withSmallDisk(3_000_000, async disk => {
      const store = new FileCheckpoints({ dir: disk })
      await store.save(checkpointOf(1000, 1))
      await expect(store.save(checkpointOf(100_000, 2))).rejects.toMatchObject({ code: 'FS_IO' })
      expect((await store.load())?.position).toBe(1)
      expect(readdirSync(disk)).toEqual(['checkpoint-0000000001.bin'])
      await store.save(checkpointOf(1000, 3))
      expect((await store.load())?.position).toBe(3)
    })
    if (!ran) context.skip('a small tmpfs cannot be mounted here: run as root on Linux')
  })

  it('streams: saving takes a small part of the memory of what is saved', async () => {
    const dir = folder()
    const rows = 200_000
    const keys = Array.from({ length: rows }, (_, i) => `latency_seconds{service="service-${i}"}`)
    const columns = { a: new Float64Array(rows * 40) }
    const store = new FileCheckpoints({ dir })
    let peak = 0
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers)
    }, 1)
    const before = process.memoryUsage().arrayBuffers
    await store.save({ position: 1, savedMs: 0, parts: [{ id: 'a', version: 1, keys, columns, meta: null }] })
    clearInterval(watch)
    expect(peak).toBeGreaterThan(0)
    expect(peak - before).toBeLessThan(columns.a.byteLength / 2)
  })
})
