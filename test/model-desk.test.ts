// Orders of models: opened first, written down, carried out, settled, audited, one at a time. Whatever fails leaves all as
// it was; and wherever a crash cuts an order short, or the pipeline loses its state, the next start makes both agree.
import { afterAll, describe, expect, it } from 'vitest'
import { ForeshockError } from '../src/core/errors.ts'
import type { ModelOrder } from '../src/core/model.ts'
import { NO_STANDING } from '../src/core/model-standing.ts'
import { type ModelWorld, modelWorld, Stage, sumTar } from './serve/model-world.ts'
import { inPieces } from './store/model-packages.ts'

const worlds: ModelWorld[] = []
afterAll(() => Promise.all(worlds.map(world => world.close())))
async function started(...more: Parameters<typeof modelWorld>): Promise<ModelWorld> {
  const here = await modelWorld(...more)
  worlds.push(here)
  return here
}

async function withVersions(...versions: number[]): Promise<ModelWorld> {
  const here = await started()
  for (const version of versions)
    await here.desk.push('sum', version, inPieces(await sumTar(here.root, version)), 'ann')
  here.audits.length = 0
  return here
}

type Op = ModelOrder['op']
const give = ({ desk }: ModelWorld, op: Op, version?: number, share?: number) =>
  desk.order({ op, model: 'sum', version, share, by: 'ann' })
const who = ({ desk }: ModelWorld) => {
  const { champion, previous, challenger } = desk.entry('sum')?.standing ?? NO_STANDING
  return [champion?.version ?? 0, previous?.version ?? 0, challenger?.version ?? 0]
}
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    cause => (cause as ForeshockError).code,
  )

it('a tenant has so many models, of any number of versions', async () => {
  const here = await started()
  const push = async (id: string, version: number, tenant: string) =>
    here.desk.push(id, version, inPieces(await sumTar(here.root, version, id)), 'ann', tenant)
  expect((await push('mine', 1, 'small')).stored.tenant).toBe('small')
  expect((await push('mine', 2, 'small')).isNew).toBe(true)
  expect(await refusal(push('more', 1, 'small'))).toBe('FS_QUOTA')
  expect((await push('more', 1, 'large')).isNew).toBe(true)
  await here.desk.remove('mine', 1, 'ann')
  await here.desk.remove('mine', 2, 'ann')
  expect((await push('more', 2, 'small')).isNew).toBe(true)
}, 60_000)

describe('orders', () => {
  it('go through a whole life, each opened before and audited after', async () => {
    const here = await withVersions(1, 2, 3)
    await give(here, 'promote', 1)
    await give(here, 'shadow', 2)
    expect(who(here)).toEqual([1, 0, 2])
    await give(here, 'canary', 2, 0.25)
    expect(here.desk.entry('sum')?.live?.challenger).toMatchObject({
      version: 2,
      mode: 'canary',
      share: 0.25,
    })
    await give(here, 'promote')
    expect(who(here)).toEqual([2, 1, 0])
    await give(here, 'shadow', 3)
    await give(here, 'rollback')
    expect(who(here)).toEqual([1, 0, 3])
    await give(here, 'withdraw')
    await give(here, 'rollback')
    expect(who(here)).toEqual([0, 0, 0])
    expect(here.prepared).toEqual(['sum@1', 'sum@2', 'sum@3', 'sum@1'])
    expect(here.audits.map(one => one.action)).toEqual(
      here.stage.envelopes.map(({ bytes }) => `model.${JSON.parse(Buffer.from(bytes).toString()).op}`),
    )
    expect(here.desk.history('sum', 3).map(line => line.order.op)).toEqual([
      'rollback',
      'withdraw',
      'rollback',
    ])
    expect(here.stage.envelopes.every(one => one.kind === 'model')).toBe(true)
  }, 60_000)

  it('that make no sense, or fail on the way, change nothing', async () => {
    const here = await withVersions(1, 2)
    await give(here, 'promote', 1)
    const before = here.stage.envelopes.length
    expect(await refusal(give(here, 'withdraw'))).toBe('FS_CONFLICT')
    expect(await refusal(give(here, 'shadow', 1))).toBe('FS_CONFLICT')
    expect(await refusal(give(here, 'promote', 9))).toBe('FS_NOT_FOUND')
    expect(await refusal(give(here, 'promote'))).toBe('FS_INPUT_INVALID')
    const unknown = { op: 'promote', model: 'other', version: 1, by: 'ann' } as const
    expect(await refusal(here.desk.order(unknown))).toBe('FS_NOT_FOUND')
    expect(await refusal(here.desk.order({ ...unknown, model: 'sum', digest: 'sha256:0' }))).toBe(
      'FS_CONFLICT',
    )
    here.failure = new ForeshockError('FS_MODEL_RUNTIME', 'no')
    expect(await refusal(give(here, 'promote', 2))).toBe('FS_MODEL_RUNTIME')
    expect(here.stage.envelopes.length).toBe(before)
    here.failure = undefined
    here.stage.refuses = 'not now'
    expect(await refusal(give(here, 'promote', 2))).toBe('FS_CONFLICT')
    here.stage.refuses = undefined
    here.stage.fails = new ForeshockError('FS_OVERLOADED', 'too much')
    expect(await refusal(give(here, 'promote', 2))).toBe('FS_OVERLOADED')
    here.stage.fails = undefined
    expect(who(here)).toEqual([1, 0, 0])
    expect(here.ledger.pending).toBeNull()
    expect(here.audits.length).toBe(1)
    await give(here, 'promote', 2)
    expect(who(here)).toEqual([2, 1, 0])
  }, 60_000)

  it('given at once are carried out one after the other', async () => {
    const here = await withVersions(1, 2)
    const done = await Promise.allSettled([
      give(here, 'promote', 1),
      give(here, 'promote', 2),
      give(here, 'rollback'),
      give(here, 'shadow', 1),
    ])
    expect(done.map(one => one.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    expect(who(here)).toEqual([1, 0, 0])
  }, 60_000)

  it('keep what is in use from being removed, and its number from meaning something else', async () => {
    const here = await withVersions(1, 2, 3)
    await give(here, 'promote', 1)
    await give(here, 'promote', 2)
    await give(here, 'shadow', 3)
    for (const version of [1, 2, 3])
      expect(await refusal(here.desk.remove('sum', version, 'ann'))).toBe('FS_CONFLICT')
    await give(here, 'withdraw')
    await here.desk.remove('sum', 3, 'ann')
    expect(here.audits.at(-1)).toMatchObject({ who: 'ann', action: 'model.remove', detail: { version: 3 } })
    expect(await refusal(here.desk.remove('sum', 3, 'ann'))).toBe('FS_NOT_FOUND')
    const other = inPieces(await sumTar(here.root, 3, 'sum', 33))
    expect(await refusal(here.desk.push('sum', 3, other, 'ann'))).toBe('FS_CONFLICT')
    const same = inPieces(await sumTar(here.root, 3))
    expect((await here.desk.push('sum', 3, same, 'ann')).isNew).toBe(true)
  }, 60_000)
})

describe('a start', () => {
  const again = async (from: ModelWorld, stage: Stage) => {
    const here = await started(from.root, stage)
    await here.desk.reconcile()
    return here
  }

  it('finds nothing to do when both agree', async () => {
    const here = await withVersions(1, 2)
    await give(here, 'promote', 1)
    await give(here, 'canary', 2)
    const count = here.stage.envelopes.length
    const next = await again(here, here.stage)
    expect(next.stage.envelopes.length).toBe(count)
    expect(who(next)).toEqual([1, 0, 2])
  }, 60_000)

  it('gives a pipeline that lost its state the same parts again', async () => {
    const here = await withVersions(1, 2, 3)
    await give(here, 'promote', 1)
    await give(here, 'promote', 2)
    await give(here, 'canary', 3, 0.5)
    const next = await again(here, new Stage())
    expect(next.stage.standings.get('sum')).toEqual(here.stage.standings.get('sum'))
    expect(next.prepared).toEqual(['sum@1', 'sum@2', 'sum@3'])
    expect(who(next)).toEqual([2, 1, 3])
  }, 60_000)

  it('brings an older state forward, and takes away what has no part any more', async () => {
    const here = await withVersions(1, 2)
    const stale = new Stage()
    await give(here, 'promote', 1)
    await give(here, 'shadow', 2)
    stale.standings.set('sum', here.stage.standings.get('sum') ?? NO_STANDING)
    const gone = { model: 'gone', version: 1, digest: 'sha256:1' }
    stale.standings.set('gone', { ...NO_STANDING, champion: gone })
    await give(here, 'withdraw')
    const next = await again(here, stale)
    expect(next.stage.standings.get('sum')).toEqual(here.stage.standings.get('sum'))
    expect(next.stage.standings.get('gone')).toEqual(NO_STANDING)
  }, 60_000)

  it.each([
    ['before it was carried out', false],
    ['after it was carried out', true],
  ])(
    'finishes an order that was cut short %s',
    async (_name, isCarriedOut) => {
      const here = await withVersions(1, 2)
      await give(here, 'promote', 1)
      const digest = here.registry.find('sum', 2)?.digest ?? ''
      const order = { op: 'promote', model: 'sum', version: 2, digest, by: 'ann' } as const
      await here.ledger.intend(order)
      if (isCarriedOut) {
        const two = { model: 'sum', version: 2, digest }
        const one = here.stage.standings.get('sum')?.champion ?? null
        here.stage.standings.set('sum', { champion: two, previous: one, challenger: null })
      }
      const next = await again(here, here.stage)
      expect(who(next)).toEqual([2, 1, 0])
      expect(next.stage.standings.get('sum')?.champion?.version).toBe(2)
      expect(next.stage.standings.get('sum')?.previous?.version).toBe(1)
      expect(next.audits[0]).toMatchObject({ who: 'ann', action: 'model.promote' })
    },
    60_000,
  )

  it('takes over what scores when there is no ledger, and says what cannot be repeated', async () => {
    const here = await started()
    const stage = new Stage()
    const gone = { model: 'gone', version: 1, digest: 'sha256:1' }
    stage.standings.set('gone', { ...NO_STANDING, champion: gone })
    const next = await again(here, stage)
    expect(next.ledger.standing('gone').champion).toEqual(gone)
    const later = await again(next, new Stage())
    expect(later.warnings).toEqual([expect.stringContaining('gone: promote could not be repeated')])
  }, 60_000)
})
