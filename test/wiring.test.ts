// Shows that sinks of which one cannot be opened leave nothing behind that would keep the process: neither timers of an
// Alertmanager nor webhooks that were opened before it. And that what is kept of a webhook is its own wherever it comes to stand.
import { appendFileSync, mkdtempSync, readdirSync, renameSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { webhookName } from '../src/publish/webhook-post.ts'
import { openSinks } from '../src/wiring.ts'
import { event } from './store/samples.ts'

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

it('knows what it keeps of a webhook by its URL, not by its place', async () => {
  const secret = `whsec_${Buffer.alloc(32).toString('base64')}`
  const data = { folder: mkdtempSync(join(tmpdir(), 'foreshock-sinks-')) }
  const [gone, other] = ['http://127.0.0.1:9/gone', 'http://127.0.0.1:9/other']
  const open = (...urls: string[]) => {
    const webhooks = urls.map(url => ({ url, secret, allowPrivate: true }))
    const config = parseConfig({ data, sinks: { webhooks } })
    return openSinks(config, undefined, new Telemetry(), pino({ level: 'silent' }))
  }
  await (await open(gone)).all.close()
  const folder = join(data.folder, 'webhooks')
  const [file] = readdirSync(folder)
  // It wants nothing any more; named as it was by an earlier version.
  appendFileSync(join(folder, file), `${JSON.stringify({ t: 'disabled', reason: '410 Gone' })}\n`)
  renameSync(join(folder, file), join(folder, '1.jsonl'))
  await (await open(gone)).all.close()
  const { all } = await open(other, gone)
  await all.publish(event('d_1'))
  await all.settled(5000)
  expect(all.pendingBySink()).toMatchObject({ [webhookName(gone)]: 0, [webhookName(other)]: 1 })
  await all.close()
  expect(() => open(gone, gone)).toThrow(/sinks\.webhooks: a URL stands here once/)
})
