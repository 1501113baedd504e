import type { Config } from './schema.ts'

export type Quota = NonNullable<Config['tenants'][string]['quota']>

/** What a tenant may; `*` stands for every tenant that is not named. */
export function quotaOf(tenants: Config['tenants'], tenant: string): Quota | undefined {
  // A tenant may be called `constructor`: what every object inherits is no entry.
  const entry = Object.hasOwn(tenants, tenant) ? tenants[tenant] : tenants['*']
  return entry?.quota
}

/** Most series of a tenant by its quota; undefined when no tenant has one. */
export function seriesLimits(tenants: Config['tenants']): ((tenant: string) => number) | undefined {
  if (Object.values(tenants).every(({ quota }) => quota?.series === undefined)) return undefined
  return tenant => quotaOf(tenants, tenant)?.series ?? Number.POSITIVE_INFINITY
}
