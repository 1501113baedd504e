// Shows that a service in one process holds tenants to their samples a second: over a long time no more than the rate comes
// through however bodies overlap, who is sent back is told when there is something again and is let in then, nobody pays for
// another, and what is no sample passes.
import { expect, it } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { EMPTY_RECEIPT, type Envelope, type EnvelopeKind, type Receipt } from '../src/core/envelope.ts'
import { ForeshockError } from '../src/core/errors.ts'
import { SampleQuotas } from '../src/sample-quotas.ts'

const envelope = (tenant: string, kind: EnvelopeKind = 'json-lines'): Envelope => ({
  kind,
  encoding: 'identity',
  arrivalMs: 0,
  tenant,
  bytes: new Uint8Array(0),
})
const taken =
  (samples: number, histograms = 0) =>
  async (): Promise<Receipt> => ({
    ...EMPTY_RECEIPT,
    samples,
    histograms,
  })

function bench() {
  const { tenants } = parseConfig({
    tenants: {
      acme: { quota: { samplesPerSecond: 100 } },
      '*': { quota: { samplesPerSecond: 1 } },
      free: {},
    },
  })
  const at = { ms: 1_000_000 }
  return { at, quotas: new SampleQuotas(tenants, () => at.ms) }
}

async function refusal(answer: Promise<Receipt>): Promise<number> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error === undefined) return 0
  if (!(error instanceof ForeshockError)) throw error
  expect(error.code).toBe('FS_QUOTA')
  return error.retryAfterMs ?? Number.NaN
}

it('lets the rate through, and says when to come back', async () => {
  const { at, quotas } = bench()
  let passed = 0
  for (let i = 0; i < 2000; i++, at.ms += 50) {
    if ((await refusal(quotas.submit(envelope('acme'), taken(40, 10)))) === 0) passed += 50
  }
  // 100 s at 100 a second, the bucket of 10 s beside it, and one body of debt.
  expect(passed).toBeGreaterThanOrEqual(10_000)
  expect(passed).toBeLessThanOrEqual(11_050)
  await quotas.submit(envelope('acme'), taken(5000)).catch(() => {})
  const waitMs = await refusal(quotas.submit(envelope('acme'), taken(1)))
  expect(waitMs).toBeGreaterThan(0)
  at.ms += waitMs - 1
  expect(await refusal(quotas.submit(envelope('acme'), taken(1)))).toBe(1)
  at.ms += 2
  expect(await refusal(quotas.submit(envelope('acme'), taken(1)))).toBe(0)
})

it('counts what was under way together as a debt', async () => {
  const { at, quotas } = bench()
  await Promise.all(Array.from({ length: 10 }, () => quotas.submit(envelope('acme'), taken(1000))))
  // 10 000 taken of a bucket of 1000: 9000 are owed, 90 s.
  expect(await refusal(quotas.submit(envelope('acme'), taken(1)))).toBe(90_000)
  at.ms += 90_001
  expect(await refusal(quotas.submit(envelope('acme'), taken(1)))).toBe(0)
})

it('lets nobody pay for another, nor for what is no sample, nor for what failed', async () => {
  const { quotas } = bench()
  await quotas.submit(envelope('one'), taken(11))
  expect(await refusal(quotas.submit(envelope('one'), taken(1)))).toBe(1000)
  expect(await refusal(quotas.submit(envelope('two'), taken(1)))).toBe(0)
  expect(await refusal(quotas.submit(envelope('one', 'change'), taken(1)))).toBe(0)
  // A name that every object inherits something under is a tenant as any other.
  await quotas.submit(envelope('constructor'), taken(11))
  expect(await refusal(quotas.submit(envelope('constructor'), taken(1)))).toBe(1000)
  for (let i = 0; i < 3; i++) expect(await refusal(quotas.submit(envelope('free'), taken(1e9)))).toBe(0)
  const failing = async (): Promise<Receipt> => {
    throw new ForeshockError('FS_OVERLOADED', 'too much is waiting')
  }
  for (let i = 0; i < 50; i++)
    await expect(quotas.submit(envelope('acme'), failing)).rejects.toMatchObject({ code: 'FS_OVERLOADED' })
})
