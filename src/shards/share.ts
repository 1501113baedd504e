import type { Config } from '../config/schema.ts'

/** The configuration of one worker of several: limits say what all of them hold together, and each has an even share. */
export function shardShare(config: Config, shards: number): Config {
  if (shards === 1) return config
  const share = (limit: number) => Math.ceil(limit / shards)
  const { features, detection } = config
  const { pool, multivariate, models } = detection
  return {
    ...config,
    features: { ...features, historyBudget: share(features.historyBudget) },
    detection: {
      ...detection,
      richSeries: share(detection.richSeries),
      memory: share(detection.memory),
      pool: { ...pool, size: share(pool.size) },
      multivariate: {
        ...multivariate,
        budget: share(multivariate.budget),
        cpuShare: multivariate.cpuShare / shards,
      },
      models: { ...models, size: share(models.size) },
    },
  }
}
