import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import type { Config } from '../config/schema.ts'
import { loadConfig } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'
import { DuckDbIndex } from '../store/duckdb-index.ts'
import { indexFile } from '../store/embedded-index.ts'
import { FileRecord } from '../store/file-record.ts'
import { lockFolder } from '../store/folder-lock.ts'
import { IndexFeed } from '../store/index-feed.ts'

export interface IndexStatus {
  readonly kind: 'memory' | 'duckdb' | 'postgres'
  readonly where: string
  readonly partitions: readonly {
    readonly partition: number
    /** Of the last line that the index has; 0 when it has none. */
    readonly seq: number
    /** Lines (messages, in a fleet) that it does not have yet. */
    readonly behind: number
  }[]
}

interface Options {
  readonly config?: string
  readonly json?: boolean
  readonly fresh?: boolean
}

export function addIndexCommand(cli: Command): void {
  const index = cli.command('index').description('the index that answers queries over the record')
  index
    .command('rebuild')
    .description('builds the index anew from the record; in a fleet while the service runs')
    .option('--config <file>', 'configuration file')
    .option('--fresh', 'drops what a rebuild that was cut short had built, rather than going on with it')
    .option('--json', 'print JSON')
    .action(rebuild)
  index
    .command('status')
    .description('how far the index is; exit 1 when it lacks more than a moment of the record')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(status)
}

/** Messages that may be on their way while one looks. */
const BEHIND_MAX = 10_000

async function rebuild({ config: file, json, fresh = false }: Options): Promise<void> {
  const config = loadConfig({ file })
  const bar = progressBar(json)
  const onProgress = (done: number, all: number) => {
    bar?.setTotal(all)
    bar?.update(done)
  }
  const skip = (where: string, reason: string) =>
    void process.stderr.write(`${where}: ${reason}; passed over\n`)
  const startedMs = Date.now()
  let done: { readonly lines: number; readonly skipped: number; readonly isResumed: boolean }
  try {
    if (config.cluster) {
      const { fleetIndex, rebuildFleet } = await import('./index-engines.ts')
      const fleet = fleetIndex(config.cluster)
      try {
        const { messages, ...rest } = await rebuildFleet(fleet, fresh, onProgress, skip)
        done = { lines: messages, ...rest }
      } finally {
        await fleet.streams.close()
      }
    } else {
      done = { lines: await rebuildFile(config, onProgress), skipped: 0, isResumed: false }
    }
  } finally {
    bar?.stop()
  }
  const seconds = (Date.now() - startedMs) / 1000
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...done, seconds })}\n`)
    return
  }
  const resumed = done.isResumed ? ', going on with a rebuild that was cut short' : ''
  const skipped = done.skipped > 0 ? `, ${done.skipped} passed over` : ''
  process.stdout.write(`${done.lines} lines in ${seconds.toFixed(1)} s${skipped}${resumed}\n`)
}

/** The DuckDB file of an embedded service, which must not run: the file has one owner. */
async function rebuildFile(config: Config, onProgress: (done: number, all: number) => void): Promise<number> {
  const { folder, index: kind, indexRetention: retentionMs } = config.data
  if (kind === 'memory') {
    throw new ForeshockError(
      'FS_CONFIG_INVALID',
      'data.index is memory, which is built from the record at every start: there is nothing to rebuild; set it to duckdb to keep an index',
    )
  }
  return withRecord(folder, async record => {
    const onWarning = (text: string) => void process.stderr.write(`foreshock: ${text}\n`)
    const index = await DuckDbIndex.open({ path: indexFile(folder), retentionMs, onWarning })
    try {
      await index.clear()
      const { seq } = record.head
      await new IndexFeed(record, index, () => {}).catchUp(lastSeq => onProgress(lastSeq, seq))
      return seq
    } finally {
      await index.close()
    }
  })
}

async function status({ config: file, json }: Options): Promise<void> {
  const found = await statusOf(loadConfig({ file }))
  if (json) process.stdout.write(`${JSON.stringify(found)}\n`)
  else {
    process.stdout.write(`${found.kind}: ${found.where}\n`)
    for (const { partition, seq, behind } of found.partitions) {
      const state = behind === 0 ? 'up to date' : `${behind} behind`
      process.stdout.write(`partition ${partition}: ${seq} lines, ${state}\n`)
    }
  }
  if (found.partitions.some(({ behind }) => behind > BEHIND_MAX)) process.exitCode = 1
}

async function statusOf(config: Config): Promise<IndexStatus> {
  if (config.cluster) {
    const { fleetIndex, fleetStatus } = await import('./index-engines.ts')
    const fleet = fleetIndex(config.cluster)
    return fleetStatus(fleet).finally(() => fleet.streams.close())
  }
  const { folder, index: kind, indexRetention: retentionMs } = config.data
  return withRecord(folder, async record => {
    const { seq } = record.head
    // Built at every start, so it lacks nothing while the service runs.
    if (kind === 'memory')
      return { kind, where: 'in the memory of the service', partitions: [{ partition: 0, seq, behind: 0 }] }
    const path = indexFile(folder)
    if (!existsSync(path))
      return { kind, where: `${path}, not made yet`, partitions: [{ partition: 0, seq: 0, behind: seq }] }
    const index = await DuckDbIndex.open({ path, retentionMs, onWarning: () => {} })
    const has = (await index.position()).get(0)?.seq ?? 0
    await index.close()
    return { kind, where: path, partitions: [{ partition: 0, seq: has, behind: Math.max(0, seq - has) }] }
  })
}

/** The record of a data folder that no service works in. */
async function withRecord<T>(folder: string, work: (record: FileRecord) => Promise<T>): Promise<T> {
  const dir = join(folder, 'record')
  if (!existsSync(dir)) {
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      `${dir}: there is no record; \`foreshock serve\` keeps one there, --config names another`,
    )
  }
  const lock = await lockFolder(folder)
  try {
    const record = await FileRecord.open({ dir })
    try {
      return await work(record)
    } finally {
      await record.close()
    }
  } finally {
    await lock.release()
  }
}

function progressBar(json = false): SingleBar | undefined {
  if (!process.stderr.isTTY || json) return undefined
  const bar = new SingleBar({
    format: 'rebuild {bar} {percentage} % · {value} of {total} lines · {eta_formatted} left',
    stream: process.stderr,
  })
  bar.start(0, 0)
  return bar
}
