import { type Streams, TOPICS } from '../core/stream.ts'
import { FIRST_PREV, parseLine } from './record-line.ts'
import { linkBreak, type RecordBreak, type RecordReport } from './verify-record.ts'

/** As for files; a topic has no head file, so the removal of its last entries cannot be seen. */
export type StreamReport = Pick<RecordReport, 'entries' | 'seq' | 'hash'> & {
  readonly partition: number
  readonly firstBreak?: RecordBreak
}

/** Checks every hash and link of one partition of the record in a topic. Rejects with FS_IO. */
export async function verifyStream(
  streams: Streams,
  partition: number,
  progress: (entries: number) => void = () => {},
): Promise<StreamReport> {
  const { first } = await streams.range(TOPICS.record, partition)
  let entries = 0
  let seq = 0
  let hash = FIRST_PREV
  for await (const { value, offset } of streams.read(TOPICS.record, partition, first)) {
    const line = parseLine(Buffer.from(value).toString('utf8'))
    const place = `${TOPICS.record}/${partition}`
    const firstBreak: RecordBreak | undefined =
      'reason' in line
        ? {
            file: place,
            line: offset + 1,
            reason: line.reason,
            expected: 'a whole line whose hash matches',
            got: line.got,
          }
        : linkBreak(place, offset + 1, line, seq, hash)
    if (firstBreak || 'reason' in line)
      return { partition, entries, seq, hash, firstBreak: firstBreak as RecordBreak }
    seq = line.seq
    hash = line.hash
    if (++entries % 10_000 === 0) progress(entries)
  }
  return { partition, entries, seq, hash }
}
