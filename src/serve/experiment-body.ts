import { z } from 'zod'
import { type ExperimentLabel, experimentSchema } from '../core/experiment.ts'
import { tenantName } from '../core/tenant.ts'
import { moment } from './schemas.ts'

/** Experiments as they are asked for and labelled over HTTP. */

/** Labels in one request. */
const LABELS_MAX = 1000

const name = z.string().min(1).max(4096)

const labelSchema = z
  .strictObject({
    series: name.optional().describe('Key of a series'),
    entity: name.optional().describe('Name of an entity: all its series; one of the two'),
    from: moment,
    to: moment.describe('Exclusive'),
    kind: z.enum(['anomalous', 'normal']),
    tenant: tenantName.optional(),
  })
  .refine(one => (one.series === undefined) !== (one.entity === undefined), 'give either series or entity')

export const labelsBody = z.strictObject({ labels: z.array(labelSchema).min(1).max(LABELS_MAX) })

export const labelsAnswer = z.object({
  taken: z.number().int(),
  refused: z
    .array(z.object({ index: z.number().int(), reason: z.string() }))
    .describe('Those that cannot count, by their place in the request'),
  experiment: experimentSchema,
})

export const stopBody = z.strictObject({
  promote: z.boolean().default(false).describe('Promote the challenger; otherwise it is withdrawn'),
  why: z.string().min(1).max(1000).optional(),
})

export const experimentsPage = z.object({ items: z.array(experimentSchema) })

/** A label as posted. A tenant's key labels that tenant's series and no others. */
export function labelOf(
  body: z.output<typeof labelSchema>,
  ownTenant: string | undefined,
  by: string,
): ExperimentLabel {
  return {
    tenant: ownTenant ?? body.tenant ?? 'default',
    of: body.series === undefined ? 'entity' : 'series',
    name: (body.series ?? body.entity) as string,
    fromMs: body.from,
    toMs: body.to,
    kind: body.kind,
    by,
  }
}
