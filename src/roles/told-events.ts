import {
  type Disruption,
  type DisruptionEvent,
  type DisruptionEventType,
  disruptionSchema,
} from '../core/disruption.ts'
import type { RecordLine } from '../core/ports.ts'
import { type StoredMessage, type Streams, TOPICS } from '../core/stream.ts'

const TYPE = /^io\.foreshock\.disruption\.(opened|updated|resolved|retracted)\.v1$/
const text = new TextDecoder('utf-8', { fatal: true })
/** Messages of a partition looked at for who comes back to the event stream, the newest. */
const LOOKED_AT_MAX = 5000

/** The event that a message of the topic `disruptions` tells of, in CloudEvents' binary form; the reason when none. */
export function toldEvent({ headers, value }: StoredMessage): DisruptionEvent | string {
  const type = TYPE.exec(headers.ce_type ?? '')?.[1] as DisruptionEventType | undefined
  const timeMs = Date.parse(headers.ce_time ?? '')
  if (type === undefined) return 'ce_type is none of a disruption'
  if (!headers.ce_id || Number.isNaN(timeMs)) return 'ce_id or ce_time is missing'
  try {
    const disruption = disruptionSchema.parse(JSON.parse(text.decode(value)))
    return { id: headers.ce_id, type, timeMs, disruption }
  } catch (error) {
    return `the value is no disruption: ${(error as Error).message}`.slice(0, 300)
  }
}

/** What was told lately, from the topic itself. */
export class ToldEvents {
  readonly #streams: Streams
  readonly #perPartitionMax: number

  constructor(streams: Streams, perPartitionMax = LOOKED_AT_MAX) {
    this.#streams = streams
    this.#perPartitionMax = perPartitionMax
  }

  /** Offsets from which so many messages of each partition lie ahead. */
  async tails(): Promise<number[]> {
    const count = await this.#streams.partitions(TOPICS.disruptions)
    return Promise.all(
      Array.from({ length: count }, async (_, partition) => {
        const { first, end } = await this.#streams.range(TOPICS.disruptions, partition)
        return Math.max(first, end - this.#perPartitionMax)
      }),
    )
  }

  /** Each disruption that a partition told of before an offset, by id and as it was told last. */
  async latest(partition: number, before: number): Promise<Map<string, Disruption>> {
    const told = new Map<string, Disruption>()
    const from = Math.max(0, before - this.#perPartitionMax)
    for await (const message of this.#streams.read(TOPICS.disruptions, partition, from)) {
      if (message.offset >= before) break
      const event = toldEvent(message)
      if (typeof event !== 'string') told.set(event.disruption.id, event.disruption)
    }
    return told
  }

  /** As the record has them: partitions merged by when their messages came about. */
  async *read(): AsyncGenerator<RecordLine> {
    const sources = (await this.tails()).map((from, partition) => this.#of(partition, from))
    try {
      const heads: (RecordLine | undefined)[] = []
      for (const source of sources) heads.push((await source.next()).value ?? undefined)
      for (;;) {
        let least = -1
        for (const [i, head] of heads.entries())
          if (head && head.timeMs < (heads[least]?.timeMs ?? Number.POSITIVE_INFINITY)) least = i
        const line = heads[least]
        if (line === undefined) return
        yield line
        heads[least] = (await sources[least].next()).value ?? undefined
      }
    } finally {
      // Who reads no further, and one partition that cannot be read, leave the others open.
      await Promise.all(sources.map(source => source.return(undefined)))
    }
  }

  async *#of(partition: number, from: number): AsyncGenerator<RecordLine> {
    let seq = 0
    for await (const message of this.#streams.read(TOPICS.disruptions, partition, from)) {
      const event = toldEvent(message)
      if (typeof event === 'string') continue
      yield {
        seq: ++seq,
        timeMs: message.timestampMs,
        id: event.id,
        entry: { type: 'disruption', event },
      }
    }
  }
}
