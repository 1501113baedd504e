import { z } from 'zod'

/** What a tenant may be called: names stand in keys of series and of messages. */
export const TENANT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** In words, after what must be one. */
export const A_TENANT_NAME = 'must be letters, digits, dots, dashes and underscores, 64 at most'

export const tenantName = z.string().regex(TENANT_NAME, A_TENANT_NAME)
