import type { Config } from './schema.ts'

/**
 * The configuration of one of several parts of the work: limits of memory and time say what all of them hold together, and
 * each has its share. `share`: the part's share of a limit; `parts`: how many there are.
 */
export function divided(config: Config, parts: number, share: (limit: number) => number): Config {
  const { features, detection } = config
  const { pool, multivariate, models } = detection
  return {
    ...config,
    features: { ...features, historyBudget: share(features.historyBudget) },
    detection: {
      ...detection,
      memory: share(detection.memory),
      pool: { ...pool, size: share(pool.size), budget: share(pool.budget), time: pool.time / parts },
      multivariate: {
        ...multivariate,
        budget: share(multivariate.budget),
        cpuShare: multivariate.cpuShare / parts,
      },
      models: { ...models, size: share(models.size) },
    },
  }
}
