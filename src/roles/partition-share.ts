import { divided } from '../config/divided.ts'
import type { Quota } from '../config/quota.ts'
import type { Config } from '../config/schema.ts'

/** Entities do not spread evenly: a partition takes so much more than its even share of series. */
const SERIES_SLACK = 1.25

/** Gateways count series as senders send them, partitions as they are scored: a native histogram is five of these. */
const SCORED_OF_ONE = 5
/** The series of a tenant lie where its entities do: a partition takes so many even shares of them. */
const TENANT_SLACK = 4
/** Every partition takes so many series of a tenant, as far as its quota goes: all that a few entities have. */
const TENANT_SERIES_LEAST = 10_000

/** Of so many series of all partitions. */
function seriesShare(series: number, partitions: number): number {
  return Math.min(series, Math.ceil((SERIES_SLACK * series) / partitions))
}

/**
 * The quota of a tenant in one partition. Gateways count exactly and refuse first; this bounds what others write into the
 * log directly, and must not refuse what gateways let pass.
 */
function tenantShare({ series, ...rest }: Quota, partitions: number): Quota {
  if (series === undefined) return rest
  const scored = series * SCORED_OF_ONE
  const share = Math.max(TENANT_SERIES_LEAST, Math.ceil((TENANT_SLACK * scored) / partitions))
  return { ...rest, series: Math.min(scored, share) }
}

/**
 * The configuration of one samples partition: in a fleet, limits say what all partitions hold together, and each has an
 * even share. It is a share of the partitions and not of the processes: what a partition finds must not depend on who else
 * is held by the process that it happens to be in, and a process that holds a third of the partitions holds a third of the
 * memory.
 */
export function partitionShare(config: Config, partitions: number): Config {
  const { ingest, disruptions, tenants } = config
  const shares = divided(config, partitions, limit => Math.ceil(limit / partitions))
  return {
    ...shares,
    ingest: { ...ingest, maxSeries: seriesShare(ingest.maxSeries, partitions) },
    detection: { ...shares.detection, richSeries: seriesShare(shares.detection.richSeries, partitions) },
    tenants: Object.fromEntries(
      Object.entries(tenants).map(([name, { quota, ...rest }]) => [
        name,
        quota === undefined ? rest : { ...rest, quota: tenantShare(quota, partitions) },
      ]),
    ),
    // What a partition sees of disruptions weighs its learning and is told to nobody.
    disruptions,
  }
}
