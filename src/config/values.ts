import { z } from 'zod'

/** What values of the configuration look like: durations, sizes, counts, switches. */

/** Longer times are not waited for by timers of Node: they would end at once. 24 days, in ms. */
const TIMER_MS_MAX = 24 * 86_400_000
/** What a number that is written as text may not be taken for: nothing, or blanks. */
const BLANK = /^\s*$/

/**
 * A number as YAML has it, or as text, which is all that the environment has. What is neither is not made one: a key with nothing
 * behind it would be 0.
 */
export const numeric = <S extends z.ZodType>(schema: S) =>
  z.preprocess(value => (typeof value === 'string' && !BLANK.test(value) ? Number(value) : value), schema)

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

const A_DURATION = 'write a duration such as 500ms, 10s, 5m, 12h or 7d'
/** A century, in ms: what is longer is a mistake. */
const DURATION_MS_MAX = 36_525 * 86_400_000

/** Whole ms. */
export const duration = z
  .union([z.string(), z.number()], { error: A_DURATION })
  .transform((value, context) => {
    const match = DURATION.exec(String(value))
    if (match) return Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS])
    context.addIssue({ code: 'custom', message: A_DURATION })
    return z.NEVER
  })
  .pipe(z.number().positive('must be longer than nothing').max(DURATION_MS_MAX, 'must be at most a century'))
/** How long or how often a timer waits. */
export const timer = duration.refine(ms => ms <= TIMER_MS_MAX, 'must be at most 24d')

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|kB|KiB|MB|MiB|GB|GiB)?$/
const UNIT_BYTES = { B: 1, kB: 1e3, KiB: 1024, MB: 1e6, MiB: 1_048_576, GB: 1e9, GiB: 1_073_741_824 } as const

const A_SIZE = 'write a size such as 64 MiB, 500 kB or a number of bytes'

export const size = z.union([z.string(), z.number()], { error: A_SIZE }).transform((value, context) => {
  const match = SIZE.exec(String(value))
  if (match) return Math.round(Number(match[1]) * UNIT_BYTES[(match[2] ?? 'B') as keyof typeof UNIT_BYTES])
  context.addIssue({ code: 'custom', message: A_SIZE })
  return z.NEVER
})

export const count = numeric(z.number().int().min(1))
/** A whole number, or a word in its place. */
export const wordOrNumber = <W extends string>(word: W, least: number, most: number) =>
  z.union([z.literal(word), numeric(z.number().int().min(least).max(most))], {
    error: `write ${word}, or a whole number from ${least} to ${most}`,
  })
export const switchable = z.union(
  [z.boolean(), z.enum(['true', 'false']).transform(text => text === 'true')],
  { error: 'write true or false' },
)
export const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never)
/** A list, or in one text with commas, as the environment has it. */
export const listOf = <S extends z.ZodType>(item: S) =>
  z.preprocess(
    value => (typeof value === 'string' ? value.split(',').map(word => word.trim()) : value),
    z.array(item).min(1),
  )
