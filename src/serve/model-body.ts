import { z } from 'zod'
import type { ModelVersion } from '../core/model.ts'
import type { ModelEntry, OrderLine, StoredVersion } from '../core/model-standing.ts'

/** What the routes of models take and answer. */

const modelName = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be a name such as service-autoencoder')
const versionNumber = z.coerce.number().int().min(1).max(999_999_999)
export const modelParams = z.object({ id: modelName })
export const versionParams = z.object({ id: modelName, version: versionNumber })

export const ORDERS = ['promote', 'shadow', 'canary', 'withdraw', 'rollback', 'retire'] as const

export const orderBody = z
  .strictObject({
    version: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe('Which version; promote without one takes the challenger'),
    share: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('Of a canary: share of the series it speaks for; default 0.1'),
    why: z.string().min(1).max(2000).optional(),
  })
  .nullish()

const versionRef = z.object({ version: z.number().int(), digest: z.string() })
const useSchema = versionRef.extend({
  rows: z.number().describe('Window rows scored since it was deployed'),
  failed: z.number().describe('Rows on which it had to be passed over'),
  msPerRow: z.number(),
  msMax: z.number(),
  problem: z.string().optional().describe('Why it is not asked any more'),
})
const mode = z.enum(['shadow', 'canary'])

export const storedSchema = z.object({
  model: z.string(),
  version: z.number().int(),
  digest: z.string().describe("Of the model's bytes, as its card says"),
  packageDigest: z.string().describe('Of every byte of the package'),
  source: z.enum(['pushed', 'shipped']),
  bytes: z.number(),
  files: z.array(z.string()),
  pushedAt: z.string().nullable(),
  pushedBy: z.string().nullable(),
  part: z.enum(['champion', 'challenger', 'previous', 'none']),
  title: z.string(),
  task: z.string(),
  format: z.string(),
})
export const storedWithCard = storedSchema.extend({ card: z.record(z.string(), z.unknown()) })

export const modelSchema = z.object({
  model: z.string(),
  champion: versionRef.nullable().describe('Speaks'),
  previous: versionRef.nullable().describe('A rollback makes it champion again'),
  challenger: versionRef
    .extend({ mode, share: z.number() })
    .nullable()
    .describe('Scores beside the champion'),
  versions: z.array(storedSchema).describe('Newest first'),
  live: z
    .object({
      champion: useSchema.nullable(),
      challenger: useSchema.extend({ mode, share: z.number() }).nullable(),
      covered: z.number().describe('Series or entities that it looks at'),
      refused: z.number().describe('Those for which there was no room'),
      problem: z.string().optional().describe('Why it is not asked at present'),
    })
    .nullable()
    .describe('How it does in the pipeline'),
  fleet: z
    .object({
      revision: z.number().int().describe('Number of the last order'),
      partitions: z.number().int().describe('Samples partitions that there are'),
      behind: z
        .array(z.number().int())
        .describe('Partitions that have not carried it out, or were not heard of'),
      told: z
        .array(
          z.object({
            partition: z.number().int(),
            member: z.string().describe('Who scores it'),
            revision: z.number().int().describe('The last order that it has carried out'),
            champion: versionRef.nullable(),
            challenger: versionRef.nullable(),
            problem: z.string().nullable().describe('Why it does not score, or an order was not followed'),
          }),
        )
        .describe('As scorers told lately'),
    })
    .optional()
    .describe('In a fleet: which partitions run what'),
})
const lineSchema = z.object({
  time: z.string(),
  op: z.enum(ORDERS),
  version: z.number().int().nullable(),
  share: z.number().nullable(),
  by: z.string(),
  why: z.string().nullable(),
  champion: versionRef.nullable().describe('Who spoke from then on'),
})
export const modelWithHistory = modelSchema.extend({ history: z.array(lineSchema).describe('Newest first') })
export const modelsPage = z.object({ items: z.array(modelSchema) })

const ref = (of: ModelVersion | null) => of && { version: of.version, digest: of.digest }

export function modelView({
  model,
  standing,
  versions,
  live,
  fleet,
}: ModelEntry): z.infer<typeof modelSchema> {
  const { champion, previous, challenger } = standing
  return {
    model,
    champion: ref(champion),
    previous: ref(previous),
    challenger: challenger && {
      version: challenger.version,
      digest: challenger.digest,
      mode: challenger.mode,
      share: challenger.share,
    },
    versions: versions.map(one => storedView(one, standing)),
    live: live && {
      champion: live.champion,
      challenger: live.challenger,
      covered: live.covered,
      refused: live.refused,
      ...(live.problem === undefined ? {} : { problem: live.problem }),
    },
    ...(fleet === undefined ? {} : { fleet: fleetView(fleet) }),
  }
}

function fleetView({ revision, partitions, told }: NonNullable<ModelEntry['fleet']>) {
  const done = new Set(told.filter(one => one.revision >= revision).map(({ partition }) => partition))
  return {
    revision,
    partitions,
    behind: Array.from({ length: partitions }, (_, p) => p).filter(p => !done.has(p)),
    told: told.map(({ partition, member, revision: followed, state, refused }) => ({
      partition,
      member,
      revision: followed,
      champion: state?.champion ? { version: state.champion.version, digest: state.champion.digest } : null,
      challenger: state?.challenger
        ? { version: state.challenger.version, digest: state.challenger.digest }
        : null,
      problem: refused ?? state?.problem ?? null,
    })),
  }
}

export function storedView(
  one: StoredVersion,
  { champion, challenger, previous }: ModelEntry['standing'],
): z.infer<typeof storedSchema> {
  const { model, version, digest, packageDigest, source, bytes, files, card, pushedAt, pushedBy } = one
  const is = (other: ModelVersion | null) => other?.version === version
  const part = is(champion) ? 'champion' : is(challenger) ? 'challenger' : is(previous) ? 'previous' : 'none'
  const text = (name: string, absent: string) =>
    typeof card[name] === 'string' ? (card[name] as string) : absent
  return {
    model,
    version,
    digest,
    packageDigest,
    source,
    bytes,
    files: [...files],
    pushedAt,
    pushedBy,
    part,
    title: text('title', model),
    task: text('task', 'unknown'),
    format: text('format', 'onnx'),
  }
}

export function lineView({ time, order, champion }: OrderLine): z.infer<typeof lineSchema> {
  return {
    time,
    op: order.op,
    version: 'version' in order ? order.version : null,
    share: order.op === 'canary' ? order.share : null,
    by: order.by,
    why: order.why ?? null,
    champion: ref(champion),
  }
}
