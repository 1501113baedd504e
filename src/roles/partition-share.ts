import type { Config } from '../config/schema.ts'

/** Entities do not spread evenly: a partition takes so much more than its even share of series. */
const SERIES_SLACK = 1.25

/**
 * The configuration of one samples partition: in a fleet, limits say what all partitions hold together, and each has an
 * even share. It is a share of the partitions and not of the processes: what a partition finds must not depend on who else
 * is held by the process that it happens to be in, and a process that holds a third of the partitions holds a third of the
 * memory.
 */
export function partitionShare(config: Config, partitions: number): Config {
  const share = (limit: number) => Math.ceil(limit / partitions)
  const { ingest, features, detection, disruptions } = config
  const { pool, multivariate, models } = detection
  return {
    ...config,
    ingest: {
      ...ingest,
      maxSeries: Math.min(ingest.maxSeries, Math.ceil((SERIES_SLACK * ingest.maxSeries) / partitions)),
    },
    features: { ...features, historyBudget: share(features.historyBudget) },
    detection: {
      ...detection,
      memory: share(detection.memory),
      pool: { ...pool, size: share(pool.size) },
      multivariate: {
        ...multivariate,
        budget: share(multivariate.budget),
        cpuShare: multivariate.cpuShare / partitions,
      },
      models: { ...models, size: share(models.size) },
    },
    // What a partition sees of disruptions weighs its learning and is told to nobody.
    disruptions,
  }
}
