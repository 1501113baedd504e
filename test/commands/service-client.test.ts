// Shows that a command that talks to a service says what is wrong with an address before it asks anybody.
import { expect, it } from 'vitest'
import { askService } from '../../src/commands/service-client.ts'

it.each(['localhost:4318', '127.0.0.1:4318', 'file:///etc', 'http://', ''])('refuses --url %s', async url => {
  const asked = askService({ url }, 'GET', '/api/models')
  await expect(asked).rejects.toMatchObject({
    code: 'FS_INPUT_INVALID',
    message: `--url ${url}: write it as http://host:port`,
  })
})
