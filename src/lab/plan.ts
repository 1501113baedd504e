/** The fleet as it is deployed: who there is, who calls whom, and how much each can do at once. */

export const SERVICES = [
  'edge',
  'checkout',
  'payments',
  'inventory',
  'accounts',
  'store',
  'search',
  'cache',
] as const

export type ServiceName = (typeof SERVICES)[number]

export interface ServicePlan {
  readonly instances: number
  /** Services that it calls. */
  readonly calls: readonly ServiceName[]
  /** Requests (or connections) worked on at once. */
  readonly slots: number
  /** Requests that may wait for a slot; more are refused with 503. */
  readonly queueMax: number
  /** Longest wait for a slot, ms; then 503. */
  readonly waitMsMax: number
}

export const PLAN: Readonly<Record<ServiceName, ServicePlan>> = {
  edge: {
    instances: 1,
    calls: ['checkout', 'search', 'accounts'],
    slots: 256,
    queueMax: 256,
    waitMsMax: 1000,
  },
  checkout: { instances: 2, calls: ['inventory', 'payments'], slots: 12, queueMax: 24, waitMsMax: 800 },
  payments: { instances: 1, calls: [], slots: 24, queueMax: 48, waitMsMax: 800 },
  inventory: { instances: 1, calls: ['store'], slots: 24, queueMax: 48, waitMsMax: 800 },
  accounts: { instances: 1, calls: ['store'], slots: 24, queueMax: 48, waitMsMax: 800 },
  store: { instances: 1, calls: [], slots: 8, queueMax: 64, waitMsMax: 600 },
  search: { instances: 1, calls: ['cache'], slots: 24, queueMax: 48, waitMsMax: 800 },
  cache: { instances: 1, calls: [], slots: 32, queueMax: 64, waitMsMax: 200 },
}

/** How long a caller waits for an answer of each service, ms: shorter the deeper, as timeouts should be. */
export const TIMEOUT_MS: Readonly<Record<ServiceName, number>> = {
  edge: 3000,
  checkout: 1500,
  search: 1000,
  accounts: 1000,
  payments: 1000,
  inventory: 1000,
  store: 700,
  cache: 250,
}

/** Call edges of the plan, caller first: what Foreshock has to learn from labels. */
export function plannedEdges(): { source: ServiceName; target: ServiceName }[] {
  return SERVICES.flatMap(source => PLAN[source].calls.map(target => ({ source, target })))
}
