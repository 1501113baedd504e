import { z } from 'zod'

/** What values of the configuration look like: durations, sizes, counts, switches. */

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

export const duration = z
  .union([z.string(), z.number()])
  .transform((value, context) => {
    const match = DURATION.exec(String(value))
    if (match) return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
    context.addIssue({ code: 'custom', message: 'write a duration such as 500ms, 10s, 5m, 12h or 7d' })
    return z.NEVER
  })
  .pipe(z.number().positive('must be longer than nothing'))

const SIZE = /^(\d+(?:\.\d+)?)\s*(B|kB|KiB|MB|MiB|GB|GiB)?$/
const UNIT_BYTES = { B: 1, kB: 1e3, KiB: 1024, MB: 1e6, MiB: 1_048_576, GB: 1e9, GiB: 1_073_741_824 } as const

export const size = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = SIZE.exec(String(value))
  if (match) return Math.round(Number(match[1]) * UNIT_BYTES[(match[2] ?? 'B') as keyof typeof UNIT_BYTES])
  context.addIssue({ code: 'custom', message: 'write a size such as 64 MiB, 500 kB or a number of bytes' })
  return z.NEVER
})

export const count = z.coerce.number().int().min(1)
export const switchable = z.union([z.boolean(), z.enum(['true', 'false']).transform(text => text === 'true')])
export const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never)
/** A list, or in one text with commas, as the environment has it. */
export const listOf = <S extends z.ZodType>(item: S) =>
  z.preprocess(
    value => (typeof value === 'string' ? value.split(',').map(word => word.trim()) : value),
    z.array(item).min(1),
  )
