// Shows that a checkpoint comes back into empty parts, and that one of another layout is passed over as a whole: the
// parts are built anew, a warning names the reason, and the journal goes on where it stood.
import { describe, expect, it } from 'vitest'
import { capture, resume, type Stateful } from '../src/checkpoint.ts'
import { ForeshockError } from '../src/core/errors.ts'
import { SeriesTable } from '../src/core/series.ts'
import type { Snapshot } from '../src/core/snapshot.ts'
import { MemoryCheckpoints } from '../src/store/memory-checkpoints.ts'

class Part implements Stateful {
  value = 0
  readonly stepMs: number
  constructor(stepMs: number) {
    this.stepMs = stepMs
  }
  snapshot(): Snapshot[] {
    return [
      { id: 'part', version: 1, keys: [], columns: {}, meta: { value: this.value, stepMs: this.stepMs } },
    ]
  }
  restore(parts: readonly Snapshot[]): void {
    const saved = parts.find(part => part.id === 'part')?.meta as { value: number; stepMs: number }
    this.value = saved.value
    if (saved.stepMs !== this.stepMs) throw new ForeshockError('FS_SNAPSHOT_INVALID', `step ${saved.stepMs}`)
  }
}
const build = (stepMs: number) => () => ({ series: new SeriesTable(), part: new Part(stepMs) })
const statefulOf = ({ part }: { part: Part }) => [part]

async function saved(): Promise<MemoryCheckpoints> {
  const { series, part } = build(1000)()
  part.value = 7
  const meta = {
    key: 'm',
    tenant: 'default',
    metric: 'm',
    labels: {},
    entity: 'e',
    unit: '',
    kind: 'other',
    bad: 'both',
  } as const
  series.intern(meta)
  const store = new MemoryCheckpoints()
  await store.save(capture(42, 0, series, [part]))
  return store
}

describe('resume', () => {
  it('gives the parts what was saved, and the position', async () => {
    const { parts, position } = await resume(await saved(), build(1000), statefulOf, () => {})
    expect(position).toBe(42)
    expect(parts.part.value).toBe(7)
    expect(parts.series.row('m')).toBe(0)
  })

  it('begins anew, at the same position, when the layout is another', async () => {
    const warnings: string[] = []
    const { parts, position } = await resume(await saved(), build(2000), statefulOf, text =>
      warnings.push(text),
    )
    expect(position).toBe(42)
    expect(parts.part.value).toBe(0)
    expect(parts.series.size).toBe(0)
    expect(warnings).toEqual([expect.stringContaining('step 1000')])
  })

  it('closes what it built for nothing: scorers may have threads of their own', async () => {
    const closed: number[] = []
    let builds = 0
    const withScoring = () => {
      const number = builds++
      const scoring = { close: async () => void closed.push(number) }
      return { ...build(2000)(), scoring }
    }
    const { parts } = await resume(await saved(), withScoring, statefulOf, () => {})
    expect(closed).toEqual([0])
    await parts.scoring.close()
    expect(closed).toEqual([0, 1])
    const broken = () => ({
      ...withScoring(),
      part: Object.assign(new Part(1000), {
        restore: () => {
          throw new Error('bug')
        },
      }),
    })
    await expect(resume(await saved(), broken, statefulOf, () => {})).rejects.toThrow('bug')
    expect(closed).toEqual([0, 1, 2])
  })

  it('begins at nothing without a checkpoint', async () => {
    const { parts, position } = await resume(new MemoryCheckpoints(), build(1000), statefulOf, () => {})
    expect([position, parts.part.value]).toEqual([0, 0])
  })

  it('does not hide any other failure', async () => {
    const broken = () => ({
      series: new SeriesTable(),
      part: {
        ...new Part(1000),
        snapshot: () => [],
        restore: () => {
          throw new TypeError('bug')
        },
      } as unknown as Part,
    })
    await expect(resume(await saved(), broken, statefulOf, () => {})).rejects.toThrow('bug')
  })
})
