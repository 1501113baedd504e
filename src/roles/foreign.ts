import { entityKey, partitionOf } from '../bus/partition-of.ts'
import type { Envelope, Receipt } from '../core/envelope.ts'
import { Rejects } from '../core/rejects.ts'
import { CONTENT, HEADERS, type StoredMessage, type StreamMessage } from '../core/stream.ts'
import { wrongTenant } from '../core/tenant.ts'
import { foreignBody } from '../ingest/foreign-body.ts'
import type { IntakeOptions } from '../ingest/options.ts'
import { Splitter } from '../ingest/splitter.ts'

/** What a foreign message is made of. */
export interface ForeignSplit {
  /** Points of entities that belong to this partition, to be decoded in place. */
  readonly here: readonly Envelope[]
  /** Points that belong to other partitions, in order; each names its origin. */
  readonly elsewhere: readonly StreamMessage[]
  /** Why nothing of it could be read: it goes to the dead letters. */
  readonly dead?: string
  /** What was taken and what was refused while it was split. */
  readonly receipt?: Receipt
}

/**
 * Splits messages that others wrote into `samples` by the partition that their points belong to. What it gives depends on
 * the message and its place alone (and on the configuration), so that a replay passes on the same bytes again; `rejects`
 * counts what is refused on the way.
 */
export function foreignSplitter(
  options: Partial<IntakeOptions>,
  rejects: Rejects = new Rejects(),
): (message: StoredMessage, partition: number, partitions: number) => ForeignSplit {
  const splitters = new Map<number, Splitter>()
  const splitterFor = (partitions: number): Splitter => {
    let splitter = splitters.get(partitions)
    if (!splitter) {
      splitter = new Splitter(options, {
        rejects,
        partitions,
        place: (tenant, entity) => partitionOf(entityKey(tenant, entity), partitions),
        selfContained: true,
      })
      splitters.set(partitions, splitter)
    }
    return splitter
  }
  return (message, partition, partitions) => splitForeign(message, partition, splitterFor(partitions))
}

function splitForeign(message: StoredMessage, partition: number, splitter: Splitter): ForeignSplit {
  const tenant = message.headers[HEADERS.tenant] ?? 'default'
  const wrong = wrongTenant(tenant)
  if (wrong !== undefined) return dead(wrong)
  const body = foreignBody(message.value, message.headers['content-type'])
  if (typeof body === 'string') return dead(body)
  const arrivalMs = message.timestampMs
  const { receipt, parts } = splitter.split({ ...body, encoding: 'identity', arrivalMs, tenant })
  splitter.keep()
  if (receipt.failure) return { ...dead(receipt.failure.detail), receipt }
  if (parts.length === 0 && receipt.rejected > 0) return { ...dead(receipt.reasons.join('; ')), receipt }
  const here: Envelope[] = []
  const elsewhere: StreamMessage[] = []
  for (const { partition: to, bytes } of parts) {
    if (to === partition) here.push({ kind: 'columns', encoding: 'identity', arrivalMs, tenant, bytes })
    else {
      const headers = {
        [HEADERS.content]: CONTENT.columns,
        [HEADERS.tenant]: tenant,
        [HEADERS.origin]: `${message.topic}/${partition}/${message.offset}/${elsewhere.length}`,
      }
      elsewhere.push({ key: null, value: bytes, headers, timestampMs: arrivalMs, partition: to })
    }
  }
  return { here, elsewhere, receipt }
}

function dead(reason: string): ForeignSplit {
  return { here: [], elsewhere: [], dead: reason }
}
