// Shows that `serve` starts nothing with a history that is not there, where it was asked for by hand, and that a fleet says what of
// its configuration it passes over.
import { expect, it } from 'vitest'
import { addServeCommand, passedOver } from '../../src/commands/serve.ts'
import { parseConfig } from '../../src/config.ts'
import { printed } from './printed.ts'

it('refuses a history to train on that is not there', async () => {
  await expect(printed(addServeCommand, ['serve', '--train', 'nowhere.csv'])).rejects.toThrow(
    '--train nowhere.csv: no such file or folder',
  )
})

it('names what a fleet does not do, and nothing else', () => {
  const asked = {
    warmup: { files: 'history.csv' },
    detection: { workers: 1 },
    sources: { host: { enabled: true } },
    data: { index: 'duckdb' },
  }
  const keys = ['warmup', 'detection.workers', 'sources.host', 'data.index']
  expect(passedOver(parseConfig(asked), false)).toEqual(keys.map(key => expect.stringContaining(key)))
  expect(passedOver(parseConfig({}), true)).toEqual([expect.stringContaining('warmup')])
  expect(passedOver(parseConfig({ detection: { workers: 'auto' } }), false)).toEqual([])
})
