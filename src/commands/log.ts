import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { KafkaStreams } from '../bus/kafka-streams.ts'
import type { ClusterConfig } from '../config/cluster.ts'
import { kafkaOptions } from '../config/kafka.ts'
import { loadConfig } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'
import { TOPICS } from '../core/stream.ts'
import { HEAD_FILE, recordSegments } from '../store/file-record.ts'
import { verifyRecord } from '../store/verify-record.ts'
import { type StreamReport, verifyStream } from '../store/verify-stream-record.ts'

export function addLogCommand(cli: Command): void {
  const log = cli.command('log').description('the record: what was found, when, by what')
  log
    .command('verify')
    .description('checks the hash chain of the record; exit 1 when it is broken')
    .option(
      '--dir <folder>',
      'folder of the record; default: what the configuration names, of a fleet the topic',
    )
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(async (options: { dir?: string; config?: string; json?: boolean }) => {
      if (options.dir === undefined) {
        const { cluster } = loadConfig({ file: options.config })
        if (cluster !== undefined) return verifyTopic(cluster, options.json ?? false)
      }
      const dir = options.dir ?? join(loadConfig({ file: options.config }).data.folder, 'record')
      const isThere =
        existsSync(join(dir, HEAD_FILE)) || (existsSync(dir) && (await recordSegments(dir)).length > 0)
      if (!isThere) {
        throw new ForeshockError(
          'FS_INPUT_INVALID',
          `${dir}: there is no record; \`foreshock serve\` keeps one there, --dir names another`,
        )
      }
      const report = await verifyRecord(dir)
      const broken = report.firstBreak
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ ok: broken === undefined, dir, ...report })}\n`)
      } else if (broken) {
        process.stdout.write(
          `${dir}: broken at ${broken.file}:${broken.line}: ${broken.reason} (expected ${broken.expected}, got ${broken.got})\n`,
        )
      } else {
        const tail = report.tornTail ? '; an unfinished last line, never acknowledged, is passed over' : ''
        const anchor = report.anchor === 'matches' ? '' : `; head file ${report.anchor}`
        process.stdout.write(
          `${dir}: ${report.entries} entries in ${report.segments} segments, chain unbroken${anchor}${tail}\n`,
        )
      }
      if (broken) process.exitCode = 1
    })
}

/** A fleet's record is a topic: each of its partitions has a chain of its own. */
async function verifyTopic(cluster: ClusterConfig, isJson: boolean): Promise<void> {
  const streams = new KafkaStreams(kafkaOptions(cluster, `foreshock-${cluster.member ?? hostname()}`))
  try {
    const count = await streams.partitions(TOPICS.record)
    const partitions: StreamReport[] = []
    for (let p = 0; p < count; p++) partitions.push(await verifyStream(streams, p))
    const ok = partitions.every(one => one.firstBreak === undefined)
    if (isJson) process.stdout.write(`${JSON.stringify({ ok, partitions })}\n`)
    else for (const one of partitions) process.stdout.write(`${lineOf(one)}\n`)
    if (!ok) process.exitCode = 1
  } finally {
    await streams.close()
  }
}

function lineOf({ partition, entries, firstBreak }: StreamReport): string {
  const place = `${TOPICS.record}/${partition}`
  if (firstBreak === undefined) return `${place}: ${entries} entries, chain unbroken`
  const { line, reason, expected, got } = firstBreak
  return `${place}: broken at offset ${line - 1}: ${reason} (expected ${expected}, got ${got})`
}
