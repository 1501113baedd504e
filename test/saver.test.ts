// A disk that is full while a checkpoint is written, under the real stages, journal and checkpoint files: the one before
// stays and the journal keeps everything since; the log names the folder and what is missing; the failure is counted; owners
// copy nothing more; and the next attempt succeeds as soon as there is room. What has no room from the start is not begun,
// so that the journal keeps the last bytes.
import { mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { assemble } from '../src/assembly.ts'
import { FileJournal } from '../src/bus/file-journal.ts'
import { Inbox } from '../src/bus/inbox.ts'
import type { Stateful } from '../src/checkpoint.ts'
import { parseConfig } from '../src/config.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { Effects } from '../src/effects.ts'
import { Pipeline } from '../src/pipeline.ts'
import { FileCheckpoints } from '../src/store/file-checkpoints.ts'
import { IndexFeed } from '../src/store/index-feed.ts'
import { MemoryIndex } from '../src/store/memory-index.ts'
import { MemoryRecord } from '../src/store/memory-record.ts'
import { Saver, stateBytes } from '../src/upkeep.ts'
import { jsonLines } from './envelopes.ts'
import { withSmallDisk } from './peers/small-disk.ts'

const T0 = 1_700_006_400
const DISK_BYTES = 64_000_000

async function service(disk: string) {
  const config = parseConfig({ features: { step: '10s', lateness: '1ms' } })
  const parts = assemble(config, new Rejects())
  const telemetry = new Telemetry()
  const said: string[] = []
  const logger = pino(
    new Writable({
      write(chunk, _encoding, done) {
        said.push(String(chunk))
        done()
      },
    }),
  )
  const journal = await FileJournal.open({ dir: join(disk, 'journal') })
  const checkpoints = new FileCheckpoints({ dir: join(disk, 'checkpoints') })
  const feed = new IndexFeed(new MemoryRecord(), new MemoryIndex(), () => {})
  const sink = { name: 'none', publish: async () => {}, pending: 0, close: async () => {} }
  const effects = new Effects({ journal, feed, sink, telemetry, onError: () => {} })
  const pipeline = new Pipeline(parts, (position, outcome) => effects.apply(position, outcome), telemetry)
  const inbox = new Inbox(journal, (position, envelope) => pipeline.process(position, envelope), {
    maxQueuedBytes: 1e8,
  })
  const { intake, windows, scoring, disruptions } = parts
  // Somebody else, who writes to the disk as soon as a checkpoint begins to be written.
  const other = { onWriting: () => {} }
  const intruder: Stateful = {
    snapshot: () => [],
    cut: cut => {
      cut.stretch(-3, () => {
        other.onWriting()
        return []
      })
      return []
    },
    restore: () => {},
  }
  const stateful: Stateful[] = [intake, windows, scoring, disruptions, intruder]
  const saver = new Saver({
    inbox,
    checkpoints,
    journal,
    effects,
    settle: async () => {},
    series: parts.series,
    stateful,
    stateBytes: () => stateBytes(parts),
    copiesBytesMax: config.checkpoint.copies,
    pipeline,
    stepMs: config.features.step,
    telemetry,
    logger,
    clock: () => 0,
  })
  let t = 0
  const send = () => {
    const time = T0 + 10 * t++
    const lines = Array.from({ length: 300 }, (_, i) => {
      return { time, metric: `cpu_usage_${i}`, labels: { service: 'shop' }, value: i, type: 'gauge' }
    })
    return inbox.submit(jsonLines(lines, time * 1000))
  }
  const metric = async (name: string) =>
    Number(new RegExp(`^foreshock_${name} (\\S+)`, 'm').exec(await telemetry.text())?.[1] ?? 0)
  const close = async () => {
    await inbox.close()
    await journal.close()
  }
  return { checkpoints, saver, send, metric, said, close, other }
}

it('leaves what is still being written for a newer one, which a stop may be in need of', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-saver-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const { checkpoints, saver, send, metric, said, close } = await service(folder)
  await send()
  await send()
  expect(await Promise.all([saver.save(), saver.save()])).toEqual([false, true])
  expect((await checkpoints.load())?.position).toBe(2)
  expect(await metric('checkpoint_position')).toBe(2)
  expect(await metric('checkpoint_copied_bytes')).toBe(0)
  expect(await metric('checkpoints_failed_total')).toBe(0)
  expect(await metric('checkpoints_given_up_total')).toBe(0)
  expect(said.join()).toContain('a checkpoint was left for a newer one')
  expect(said.join()).not.toContain('no checkpoint could be saved')
  // The next one is nobody's but its own.
  await send()
  expect(await saver.save()).toBe(true)
  expect((await checkpoints.load())?.position).toBe(3)
  await close()
})

it('keeps the last checkpoint, says why, and tries again', async context => {
  const ran = await withSmallDisk(DISK_BYTES, async disk => {
    const { checkpoints, saver, send, metric, said, close, other } = await service(disk)
    const filler = join(disk, 'filler')
    const fillTo = (leftBytes: number) => {
      const { bavail, bsize } = statfsSync(disk)
      writeFileSync(filler, Buffer.alloc(bavail * bsize - leftBytes))
    }
    await send()
    await send()
    expect(await saver.save()).toBe(true)
    const dir = join(disk, 'checkpoints')
    const [first] = await readdir(dir)
    const { size } = statSync(join(dir, first))

    // There is not room for all of it from the start.
    await send()
    fillTo(Math.floor(size / 2))
    expect(await saver.save()).toBe(false)
    expect(await metric('checkpoints_failed_total')).toBe(1)
    expect(said.join()).toMatch(
      /checkpoints: a checkpoint needs \d+ MiB and \d+ MiB are free; it is tried again/,
    )
    expect(await readdir(dir)).toEqual([first])

    // There was, but somebody else takes it meanwhile.
    rmSync(filler)
    await send()
    other.onWriting = () => fillTo(4096)
    expect(await saver.save()).toBe(false)
    expect(await metric('checkpoints_failed_total')).toBe(2)
    expect(said.join()).toContain('ENOSPC')
    expect(await readdir(dir)).toEqual([first])
    expect((await checkpoints.load())?.position).toBe(2)

    other.onWriting = () => {}
    rmSync(filler)
    const copied = await metric('checkpoint_copied_bytes')
    await send()
    expect(await metric('checkpoint_copied_bytes')).toBe(copied)
    expect(await saver.save()).toBe(true)
    expect((await checkpoints.load())?.position).toBe(5)
    expect(await metric('checkpoint_position')).toBe(5)
    expect(await metric('checkpoints_failed_total')).toBe(2)
    await close()
  })
  if (!ran) context.skip('a small tmpfs cannot be mounted here: run as root on Linux')
})
