import { z } from 'zod'

/** What a tenant may be called: names stand in keys of series and of messages. */
export const TENANT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** In words, after what must be one. */
export const A_TENANT_NAME = 'must be letters, digits, dots, dashes and underscores, 64 at most'

/** In what is posted or configured. */
export const tenantName = z.string().regex(TENANT_NAME, A_TENANT_NAME)

/** Why a name that somebody wrote is no tenant's; undefined when it may be one. */
export function wrongTenant(name: string): string | undefined {
  if (TENANT_NAME.test(name)) return undefined
  return `${JSON.stringify(name.slice(0, 100))} cannot be a tenant: a name ${A_TENANT_NAME}`
}
