// Shows that sinks of which one cannot be opened leave nothing behind that would keep the process: neither timers of an
// Alertmanager nor webhooks that were opened before it.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { openSinks } from '../src/wiring.ts'

it('leaves nothing open when a webhook cannot be opened', async () => {
  const secret = `whsec_${Buffer.alloc(32).toString('base64')}`
  const config = parseConfig({
    data: { folder: mkdtempSync(join(tmpdir(), 'foreshock-sinks-')) },
    sinks: {
      alertmanagers: [{ url: 'http://127.0.0.1:1' }],
      webhooks: [
        { url: 'https://example.com/a', secret },
        { url: 'https://example.com/b', secret: 'whsec_short' },
      ],
    },
  })
  vi.useFakeTimers({ toFake: ['setInterval', 'setTimeout', 'clearInterval', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const opening = openSinks(config, undefined, new Telemetry(), pino({ level: 'silent' }))
  await expect(opening).rejects.toMatchObject({ code: 'FS_CONFIG_INVALID' })
  expect(vi.getTimerCount()).toBe(0)
})
