import type { Fleet } from './fleet.ts'
import type { ServiceName } from './plan.ts'
import { HEALED } from './settings.ts'

export const FAULT_KINDS = [
  'slow-dependency',
  'error-burst',
  'cpu-burn',
  'memory-leak',
  'dependency-down',
  'pool-exhaustion',
  'bad-release',
  'instance-silent',
  'traffic-rise',
  'planned-restart',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

/** What people announced to Foreshock: the only thing that it is told besides metrics. */
export interface Announcement {
  readonly entity: string
  readonly kind: string
  readonly ref: string
  readonly untilMs?: number
}

export interface Site {
  readonly fleet: Fleet
  announce(change: Announcement): Promise<void>
}

export interface Fault {
  readonly kind: FaultKind
  /** The entity at fault; undefined for a control, which must not be called a disruption. */
  readonly root: ServiceName | undefined
  /** What is done, in words. */
  readonly deed: string
  /** Resolves to the moment at which it took effect, Unix ms. */
  inject(site: Site): Promise<number>
  heal(site: Site): Promise<void>
}

/** Disk wait of a slow store, ms: twenty times the healthy one, and still below every timeout. */
const SLOW_DISK_MS = 60
/** Corrupt keys out of ten: half of all charges fail. */
const CORRUPT_KEYS = 5
const BURN_SHARE = 0.8
/** Left behind by each search, bytes: some 10 MB a second at the usual load. */
const LEAK_BYTES = 400 * 1024
/** One slot in this many is never given back: the pool is dry within seconds. */
const LEAK_SLOT_EVERY = 2
/** Load of the traffic control, against the usual: within what the fleet serves well. */
const TRAFFIC_RISE = 1.6
/** A planned restart is announced for this long, ms. */
const RESTART_ANNOUNCED_MS = 20_000

const SILENT_INSTANCE = 'checkout-2'

/** The faults, each with a real mechanism in the process concerned, and the two controls. */
export const FAULTS: Readonly<Record<FaultKind, Fault>> = {
  'slow-dependency': switched('slow-dependency', 'store', 'the disk of store becomes slow', {
    diskWaitMs: SLOW_DISK_MS,
  }),
  'error-burst': switched('error-burst', 'payments', 'half of the signing keys of payments are corrupted', {
    corruptKeys: CORRUPT_KEYS,
  }),
  'cpu-burn': switched('cpu-burn', 'inventory', 'a runaway loop takes the CPU of inventory', {
    burnShare: BURN_SHARE,
  }),
  'memory-leak': switched('memory-leak', 'search', 'search retains memory with every request', {
    leakBytesPerRequest: LEAK_BYTES,
  }),
  'dependency-down': {
    kind: 'dependency-down',
    root: 'cache',
    deed: 'the cache process is killed',
    inject: ({ fleet }) => fleet.kill('cache-1').then(Date.now),
    heal: ({ fleet }) => fleet.revive('cache-1'),
  },
  'pool-exhaustion': switched('pool-exhaustion', 'checkout', 'checkout leaks the slots of its pool', {
    leakSlotEvery: LEAK_SLOT_EVERY,
  }),
  'bad-release': {
    kind: 'bad-release',
    root: 'payments',
    deed: 'version 2 of payments is rolled out, slow and wrong for some amounts',
    async inject({ fleet, announce }) {
      const sinceMs = await fleet.release('payments-1', 2)
      await announce({ entity: 'payments', kind: 'deploy', ref: 'payments v2' })
      return sinceMs
    },
    async heal({ fleet, announce }) {
      await fleet.release('payments-1', 1)
      await announce({ entity: 'payments', kind: 'deploy', ref: 'payments v1 (rolled back)' })
    },
  },
  'instance-silent': {
    kind: 'instance-silent',
    root: 'checkout',
    deed: 'one of the two checkout instances stops answering and exporting',
    inject: ({ fleet }) => fleet.turn(SILENT_INSTANCE, { silent: true }).then(Date.now),
    heal: ({ fleet }) => fleet.turn(SILENT_INSTANCE, HEALED).then(() => undefined),
  },
  'traffic-rise': {
    kind: 'traffic-rise',
    root: undefined,
    deed: 'the load rises by 60 % and is served well',
    inject: ({ fleet }) => fleet.turn('load', { trafficFactor: TRAFFIC_RISE }).then(Date.now),
    heal: ({ fleet }) => fleet.turn('load', { trafficFactor: 1 }).then(() => undefined),
  },
  'planned-restart': {
    kind: 'planned-restart',
    root: undefined,
    deed: 'search is restarted, as announced',
    async inject({ fleet, announce }) {
      await announce({
        entity: 'search',
        kind: 'restart',
        ref: 'monthly restart of search',
        untilMs: Date.now() + RESTART_ANNOUNCED_MS,
      })
      const sinceMs = Date.now()
      await fleet.restart('search-1')
      return sinceMs
    },
    heal: async () => undefined,
  },
}

function switched(
  kind: FaultKind,
  root: ServiceName,
  deed: string,
  switches: Parameters<Fleet['turn']>[1],
): Fault {
  return {
    kind,
    root,
    deed,
    inject: ({ fleet }) => fleet.turn(root, switches).then(Date.now),
    heal: ({ fleet }) => fleet.turn(root, HEALED).then(() => undefined),
  }
}
