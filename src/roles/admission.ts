import { type Quota, quotaOf } from '../config/quota.ts'
import type { Config } from '../config/schema.ts'
import type { QuotaKeeper } from '../core/ports.ts'
import type { Admission } from './samples-producer.ts'

const PASSED: Admission = { retryAfterMs: 0, refused: [] }

/** What a tenant may send by its quota, counted over all gateways; `*` stands for every tenant that is not named. */
export function admission(
  tenants: Config['tenants'],
  quotas: QuotaKeeper,
): (tenant: string, samples: number, fresh: BigUint64Array) => Promise<Admission> | Admission {
  return (tenant, samples, fresh) => {
    const quota = quotaOf(tenants, tenant)
    return quota === undefined ? PASSED : admitted(quotas, tenant, samples, fresh, quota)
  }
}

async function admitted(
  quotas: QuotaKeeper,
  tenant: string,
  samples: number,
  fresh: BigUint64Array,
  { samplesPerSecond, series }: Quota,
): Promise<Admission> {
  if (samplesPerSecond !== undefined) {
    const retryAfterMs = await quotas.takeSamples(tenant, samples, samplesPerSecond)
    if (retryAfterMs > 0) return { retryAfterMs, refused: [] }
  }
  if (series === undefined || fresh.length === 0) return PASSED
  return { retryAfterMs: 0, refused: await quotas.countSeries(tenant, fresh, series) }
}
