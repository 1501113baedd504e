import { divided } from '../config/divided.ts'
import type { Config } from '../config/schema.ts'

/**
 * The configuration of one worker of several: what all of them hold together is what was configured. What does not divide
 * evenly goes to the first; of what there is less of than workers, each has one.
 */
export function shardShare(config: Config, shard: number, shards: number): Config {
  if (shards === 1) return config
  const share = (limit: number) =>
    limit === 0 ? 0 : Math.max(1, Math.floor(limit / shards) + (shard < limit % shards ? 1 : 0))
  const { detection, ...rest } = divided(config, shards, share)
  return { ...rest, detection: { ...detection, richSeries: share(detection.richSeries) } }
}
