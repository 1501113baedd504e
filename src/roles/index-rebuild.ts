import type { RecordIndex } from '../core/ports.ts'
import { type Streams, TOPICS } from '../core/stream.ts'
import { RecordLines } from './record-lines.ts'

export interface RebuildReport {
  readonly messages: number
  readonly skipped: number
}

/**
 * Brings all of the topic `record` into an index, from where the index stands. What comes while it is at it is brought
 * too, until so little is left that whoever follows the topic takes it on. `onProgress` hears of messages done and known.
 */
export async function indexRecord(
  streams: Streams,
  index: RecordIndex,
  onProgress: (done: number, all: number) => void,
  onSkipped: (where: string, reason: string) => void,
): Promise<RebuildReport> {
  let skipped = 0
  const lines = new RecordLines({
    streams,
    index,
    onSkipped: (where, reason) => {
      skipped++
      onSkipped(where, reason)
    },
  })
  const partitions = Array.from({ length: await streams.partitions(TOPICS.record) }, (_, p) => p)
  const starts = await Promise.all(partitions.map(p => lines.start(p)))
  const done = [...starts]
  let messages = 0
  for (let before = -1; messages > before; ) {
    before = messages
    const ends = await Promise.all(partitions.map(async p => (await streams.range(TOPICS.record, p)).end))
    const all = sum(ends) - sum(starts)
    for (const p of partitions) {
      await lines.catchUp(p, (nextOffset, count) => {
        done[p] = nextOffset
        messages += count
        onProgress(sum(done) - sum(starts), all)
      })
    }
  }
  return { messages, skipped }
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0)
}
