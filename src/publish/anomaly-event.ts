import type { AnomalyChange } from '../core/stages.ts'

/** What others are told of an anomaly in Kafka: CloudEvents 1.0, binary content mode. */
export interface AnomalyEvent {
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly value: Uint8Array
}

/** Undefined for updates: they are no event by themselves. */
export function anomalyEvent({ event, anomaly }: AnomalyChange, source: string): AnomalyEvent | undefined {
  if (event === 'updated') return undefined
  // The row is of this process only.
  const { series: _, ...data } = anomaly
  const timeMs = event === 'opened' ? anomaly.detectedMs : anomaly.endMs
  return {
    key: anomaly.tenant,
    headers: {
      'content-type': 'application/json',
      ce_specversion: '1.0',
      ce_id: `${anomaly.id}.${event}`,
      ce_source: source,
      ce_type: `io.foreshock.anomaly.${event}.v1`,
      ce_subject: anomaly.id,
      ce_time: new Date(timeMs).toISOString(),
    },
    value: new TextEncoder().encode(JSON.stringify(data)),
  }
}
