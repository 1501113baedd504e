import { partitionOf } from '../bus/partition-of.ts'
import type { StreamMessage } from '../core/stream.ts'
import { type ControlBook, isOver } from './control.ts'
import { modelMessage } from './model-orders.ts'
import { maintenanceMessage } from './stage-orders.ts'
import type { StageWork } from './stage-work.ts'

/** What a partition of anomalies has not heard. */
interface Missing {
  readonly subject: string
  /** Tells one word on the subject from the next. */
  readonly word: string
  readonly message: StreamMessage
}

/** What the fleet remembers, compared with what a stage knows: models of all tenants, maintenance windows of its own. */
export function missingHere(
  book: Pick<ControlBook, 'models' | 'maintenance'>,
  { models, parts }: Pick<StageWork, 'models' | 'parts'>,
  partition: number,
  partitions: number,
  nowMs: number,
): Missing[] {
  const missing: Missing[] = []
  for (const { model, command } of book.models.values()) {
    if (command === null || models.revision(model) >= command.revision) continue
    const message = modelMessage(command, partition, nowMs)
    missing.push({ subject: `model/${model}`, word: String(command.revision), message })
  }
  const known = new Map(parts.disruptions.maintenance(nowMs).map(({ window }) => [window.id, window]))
  for (const [subject, { order, tenant }] of book.maintenance) {
    if (partitionOf(tenant, partitions) !== partition || isOver(order, nowMs)) continue
    const isKnown = known.get(order.op === 'add' ? order.window.id : order.id)?.tenant === tenant
    if (isKnown === (order.op === 'add')) continue
    const message = maintenanceMessage(order, partition, nowMs)
    missing.push({ subject, word: JSON.stringify(order), message })
  }
  return missing
}
