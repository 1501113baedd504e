// Real-looking disruptions and anomalies for the tests of store and publish.
import type { Anomaly } from '../../src/core/anomaly.ts'
import type { Disruption, DisruptionEvent, DisruptionEventType, Evidence } from '../../src/core/disruption.ts'

export const BASE_MS = Date.UTC(2026, 10, 20, 14, 0, 0)

export function evidence(i: number, more: Partial<Evidence> = {}): Evidence {
  return {
    id: `ano_${i}`,
    series: { metric: 'latency_seconds:p99', labels: { service: `service-${i}`, zone: 'a' } },
    entity: `service-${i}`,
    unit: 's',
    window: { start: new Date(BASE_MS).toISOString(), end: new Date(BASE_MS + 10_000).toISOString() },
    observed: 1.9,
    expected: 0.46,
    lower: 0.3,
    upper: 0.7,
    direction: 'spike',
    tailProbability: 1e-7,
    surprise: 7,
    imputed: false,
    detectors: [{ id: 'seasonal@1', share: 1 }],
    why: [`service-${i} latency p99 1.9 s, expected 0.46 s`],
    ...more,
  }
}

export function disruption(id: string, more: Partial<Disruption> = {}): Disruption {
  const at = new Date(BASE_MS).toISOString()
  return {
    id,
    revision: 1,
    supersedes: null,
    tenant: 'default',
    status: 'open',
    rank: 1,
    severity: 'major',
    score: 87.2,
    confidence: 0.94,
    impact: { entities: 2, trafficShare: 0.31 },
    rankParts: { impact: 0.5, confidence: 0.94, persistence: 1, novelty: 1 },
    startedAt: at,
    detectedAt: at,
    updatedAt: at,
    resolvedAt: null,
    entity: 'checkout',
    entities: ['checkout', 'payments'],
    title: 'checkout p99 latency 4.1× expected since 14:00, first seen at payments',
    why: ['checkout latency p99 1.9 s, expected 0.46 s'],
    suspects: [
      {
        rank: 1,
        entity: 'payments',
        metric: 'latency_seconds:p99',
        score: 0.81,
        onset: at,
        direction: 'spike',
        observed: 1.9,
        expected: 0.46,
        why: ['earliest onset'],
      },
    ],
    evidence: [evidence(1)],
    changes: [],
    silenced: false,
    replay: { log: 'journal', config: 'sha256:0', models: {} },
    links: { self: `/api/disruptions/${id}`, verdict: `/api/disruptions/${id}/verdicts` },
    ...more,
  }
}

export function event(
  id: string,
  revision = 1,
  type: DisruptionEventType = 'opened',
  more: Partial<Disruption> = {},
): DisruptionEvent {
  return {
    id: `${id}.${revision}`,
    type,
    timeMs: BASE_MS + revision * 1000,
    disruption: disruption(id, { revision, supersedes: revision > 1 ? revision - 1 : null, ...more }),
  }
}

export function anomaly(id: string, more: Partial<Anomaly> = {}): Anomaly {
  return {
    id,
    series: 7,
    key: 'latency_seconds:p99{service="checkout"}',
    metric: 'latency_seconds:p99',
    labels: { service: 'checkout' },
    entity: 'checkout',
    tenant: 'default',
    status: 'open',
    startMs: BASE_MS,
    endMs: BASE_MS + 10_000,
    detectedMs: BASE_MS + 10_000,
    observed: 1.9,
    expected: 0.46,
    lower: 0.3,
    upper: 0.7,
    direction: 'spike',
    surprise: 7,
    tailProbability: 1e-7,
    score: 87,
    severity: 'major',
    imputed: false,
    detectors: [{ id: 'seasonal@1', share: 1 }],
    why: ['checkout latency p99 1.9 s, expected 0.46 s'],
    ...more,
  }
}
