// The file checkpoints keep the contract of the port; a damaged or cut newest one falls back to the one before with a
// warning; kill -9 at any moment leaves a whole one; a full disk leaves the former one; and saving many series stays
// far below the memory that one buffer of all would take.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ColumnStore } from '../../src/core/columns.ts'
import { Cut } from '../../src/core/cut.ts'
import type { Checkpoint } from '../../src/core/ports.ts'
import { FileCheckpoints } from '../../src/store/file-checkpoints.ts'
import { withSmallDisk } from '../peers/small-disk.ts'
import { checkpointContract, checkpointOf } from './checkpoint-contract.ts'
import { encoded } from './encoded.ts'
import { encodedLayout1 } from './layout-1.ts'

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

  it.each([1, 3])('keeps %d where it is told to', async kept => {
    const dir = folder()
    const store = new FileCheckpoints({ dir, kept })
    for (let position = 1; position <= 4; position++) await store.save(checkpointOf(3, position))
    expect(readdirSync(dir)).toHaveLength(kept)
    expect((await store.load())?.position).toBe(4)
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

  async function killed(program: string, check: (loaded: Checkpoint | undefined) => void): Promise<void> {
    const dir = folder()
    for (let round = 0; round < 4; round++) {
      const writer = join(import.meta.dirname, program)
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
      expect(loaded?.position).toBeGreaterThanOrEqual(acknowledged)
      check(loaded)
    }
  }

  it('leaves a whole one when the process is killed while saving', async () => {
    await killed('checkpoint-writer.ts', loaded => {
      const position = loaded?.position ?? 0
      expect(loaded).toEqual(checkpointOf(500 + (position % 100), position))
    })
  })

  it('leaves a whole one when the process is killed while it saves a cut of what it goes on changing', async () => {
    await killed('cut-writer.ts', loaded => {
      const value = loaded?.parts[0].columns.value
      expect(value?.length).toBe(200_000)
      expect(value?.every(one => one === loaded?.position)).toBe(true)
    })
  })

  it('reads what the releases before wrote', async () => {
    const layout2 = (checkpoint: Checkpoint) => {
      const bytes = encoded(checkpoint)
      bytes.write('FSCKPT02')
      return bytes
    }
    for (const [rows, layout] of [0, 10, 5000].flatMap(
      n =>
        [
          [n, encodedLayout1],
          [n, layout2],
        ] as const,
    )) {
      const bytes = layout(checkpointOf(rows))
      const dir = folder()
      mkdirSync(dir)
      const digest = createHash('sha256').update(bytes).digest()
      writeFileSync(join(dir, 'checkpoint-0000000003.bin'), Buffer.concat([bytes, digest]))
      expect(await new FileCheckpoints({ dir }).load()).toEqual(checkpointOf(rows))
    }
  })

  it('counts a cut only when it is ready, and not when it was given up', async () => {
    const dir = folder()
    const store = new FileCheckpoints({ dir })
    await store.save(checkpointOf(3, 1))
    const late = { ...checkpointOf(3, 2), ready: () => Promise.reject(new Error('a sink is away')) }
    await expect(store.save(late)).rejects.toMatchObject({ code: 'FS_IO' })
    const cut = new Cut(1)
    const columns = new ColumnStore({ value: 'f64' }, 2)
    columns.ensure(4)
    const parts = [columns.cut(cut, 'values', 1, { capacity: 4, keys: () => [], row: () => -1 })]
    columns.writable(0)
    await expect(store.save({ position: 3, savedMs: 0, parts, cut })).rejects.toMatchObject({
      code: 'FS_OVERLOADED',
    })
    expect((await store.load())?.position).toBe(1)
    expect(readdirSync(dir)).toEqual(['checkpoint-0000000001.bin'])
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
