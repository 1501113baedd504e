import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../config.ts'
import { createLogger } from '../core/logger.ts'

/** The embedded service that watches the lab: windows of a second, data in a folder that goes when it stops. */
export async function startLabService(): Promise<{ url: string; stop(): Promise<void> }> {
  const { startService } = await import('../main.ts')
  const folder = await mkdtemp(join(tmpdir(), 'foreshock-lab-'))
  const config = parseConfig({
    server: { port: 0 },
    data: { folder },
    features: { step: '1s', lateness: '1s' },
    log: { level: 'error' },
  })
  const service = await startService(config, { logger: createLogger(config.log.level) })
  return {
    url: service.url,
    stop: async () => {
      await service.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
