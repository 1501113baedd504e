// Shows that a service which is stopped while it learns from history keeps nothing of it, even where a checkpoint was asked for
// meanwhile and waits its turn behind the history: the next start learns it from the beginning.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { createLogger } from '../src/core/logger.ts'
import { startService } from '../src/main.ts'

it('keeps nothing of a history that was learned by half', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-half-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const files = join(folder, 'history.csv')
  const rows = Array.from({ length: 100_000 }, (_, i) => `${1_700_000_000 + 10 * i},${i % 7},${i % 11}`)
  writeFileSync(files, `timestamp,shop|a_ratio,shop|b_ratio\n${rows.join('\n')}\n`)
  const data = { folder: join(folder, 'data') }
  const logger = createLogger('silent')
  const said = vi.spyOn(logger, 'info')
  const config = parseConfig({
    server: { port: 0, grpcPort: 'off' },
    data,
    warmup: { files },
    checkpoint: { every: '5ms' },
  })
  const service = await startService(config, { logger })
  const hasBegun = async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    expect(metrics).toMatch(/foreshock_warm_up_samples_total [1-9]/)
  }
  await vi.waitFor(hasBegun, { timeout: 60_000 })
  await service.stop()
  expect(said.mock.calls.flat()).toContain(
    'learning from history was stopped; the next start begins it again',
  )
  expect(await readdir(join(data.folder, 'checkpoints')).catch(() => [])).toEqual([])
})
