// Shows that what was open about series with another entity now is closed, whoever scored them: series that everything looks
// at, plain ones, and those of several workers.
import { expect, it } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { SeriesTable } from '../src/core/series.ts'
import { metaOf } from '../src/ingest/naming.ts'
import { INTAKE_DEFAULTS } from '../src/ingest/options.ts'
import { ConfigurationMemory, reconciled } from '../src/reconcile.ts'

it.each(['hysteresis', 'plain:hysteresis', 'shard0/2:hysteresis', 'shard1/2:plain:hysteresis'])(
  'closes what was open in the part %s',
  id => {
    const was = parseConfig({ ingest: { entityLabels: ['service'] } })
    const now = parseConfig({ ingest: { entityLabels: ['team'] } })
    const labels = { service: 'shop', team: 'red' }
    const meta = metaOf('default', 'latency_seconds', labels, '', {
      ...INTAKE_DEFAULTS,
      entityLabels: was.ingest.entityLabels,
    })
    const table = new SeriesTable()
    table.intern(meta)
    const open = [{ told: true, anomaly: { id: 'a', key: meta.key, entity: 'shop' } }]
    const checkpoint = {
      position: 1,
      savedMs: 0,
      parts: [
        table.snapshot(),
        ...new ConfigurationMemory(was).snapshot(),
        {
          id,
          version: 2,
          keys: [meta.key],
          columns: { flag: Uint8Array.of(1) },
          meta: { open, orphans: [] },
        },
      ],
    }
    const { parts } = reconciled(checkpoint, now, { entityLabels: now.ingest.entityLabels }, () => {})
    const part = parts.find(one => one.id === id)
    expect(part?.meta).toMatchObject({ open: [], orphans: [{ id: 'a' }] })
    expect([...(part?.columns.flag ?? [])]).toEqual([0])
  },
)
