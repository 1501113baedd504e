/** Tells entities of different tenants apart, and is the key of their messages: all series of one are in one partition. */
export const entityKey = (tenant: string, entity: string): string => `${tenant}/${entity}`
