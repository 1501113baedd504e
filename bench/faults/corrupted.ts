// Record batches that rot on the broker's disk: samples of a service that nobody else sends, in batches that are damaged before a scorer
// reads them. One kind no longer has the checksum of its bytes, the other has, and cannot be inflated.
import { openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { KafkaStreams } from '../../src/bus/kafka-streams.ts'
import { batchHeader, CHECKED_AT, RECORDS_AT, readBatchHeader } from '../../src/bus/record-batch.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { crc32c } from '../../src/math/crc32c.ts'
import type { Outcome } from './outcome.ts'
import { PARTITIONS, SESSION_MS, type Site } from './site.ts'

/** By this time the batches are found on disk. */
const MARK_MS = 1_600_000_000_123
/** Where the checksum stands in a batch. */
const CRC_AT = 17
const SAMPLES = 50

/** Scorers are stopped, the batches written and damaged, scorers started again; gateways go on meanwhile. */
export async function corrupted({ engines, fleet, names, input }: Site): Promise<void> {
  const scorers = fleet.having('scorer')
  await Promise.all(scorers.map(one => one.stop()))
  const streams = new KafkaStreams({
    brokers: engines.addresses.kafka.split(','),
    clientId: 'faults',
    prefix: names.topics,
    compression: 'lz4',
    sessionTimeoutMs: SESSION_MS,
  })
  try {
    const producer = await streams.producer()
    const lines = Array.from({ length: SAMPLES }, (_, i) =>
      JSON.stringify({
        time: new Date(input.baseMs + 100_000 + i).toISOString(),
        metric: 'cpu_usage_ratio',
        labels: { service: 'service-corrupted' },
        value: i,
      }),
    )
    await producer.send(
      TOPICS.samples,
      Array.from({ length: PARTITIONS.samples }, (_, partition) => ({
        key: null,
        partition,
        value: Buffer.from(lines.join('\n')),
        headers: {},
        timestampMs: MARK_MS,
      })),
    )
  } finally {
    await streams.close()
  }
  for (let p = 0; p < PARTITIONS.samples; p++)
    damage(join(engines.kafka.logFolder, `${names.topics}${TOPICS.samples}-${p}`), p % 2 === 0)
  await Promise.all(scorers.map(one => one.start()))
}

function damage(folder: string, isChecksumRight: boolean): void {
  const file = join(folder, '00000000000000000000.log')
  const bytes = readFileSync(file)
  const header = batchHeader()
  for (let at = 0; readBatchHeader(bytes, at, header); at += header.size) {
    if (header.firstMs !== MARK_MS) continue
    const batch = bytes.subarray(at, at + header.size)
    // The number of bytes in the first block: more than there are.
    batch.writeUInt32LE(0x7fff_ffff, RECORDS_AT + 7)
    if (isChecksumRight) batch.writeUInt32BE(crc32c(batch, CHECKED_AT, batch.length), CRC_AT)
    writeSync(openSync(file, 'r+'), batch, 0, batch.length, at)
    return
  }
  throw new Error(`no batch to damage in ${file}`)
}

/** Every partition has one letter of it, with what was wrong. */
export async function buried(_: Site, { deadLetters }: Outcome): Promise<readonly string[]> {
  const seen = new Set(
    deadLetters.map(
      ({ headers }) => `${headers['foreshock-partition']} ${headers['foreshock-reason']?.split('read: ')[1]}`,
    ),
  )
  const problems: string[] = []
  for (let p = 0; p < PARTITIONS.samples; p++) {
    const why = p % 2 === 0 ? 'it cannot be inflated' : 'its checksum does not fit'
    if (![...seen].some(text => text.startsWith(`${p} ${why}`)))
      problems.push(`partition ${p} has no dead letter "${why}": ${[...seen].join('; ')}`)
  }
  return problems
}
