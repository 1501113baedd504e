// Shows that `serve` starts nothing with a history that is not there, where it was asked for by hand.
import { expect, it } from 'vitest'
import { addServeCommand } from '../../src/commands/serve.ts'
import { printed } from './printed.ts'

it('refuses a history to train on that is not there', async () => {
  await expect(printed(addServeCommand, ['serve', '--train', 'nowhere.csv'])).rejects.toThrow(
    '--train nowhere.csv: no such file or folder',
  )
})
