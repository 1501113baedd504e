// Shows that what a configuration says of HTTP reaches the server: keys, sizes of bodies, requests a minute of one address.
import { expect, it } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { createLogger } from '../src/core/logger.ts'
import { serveOptions } from '../src/listening.ts'

const optionsOf = (server: object) => serveOptions(parseConfig({ server }), createLogger('silent'))

it('hands on how HTTP is to be served', () => {
  const server = { maxBodyBytes: '1 MiB', maxArrivingBytes: '8 MiB', requestsPerMinute: 60 }
  expect(optionsOf(server)).toMatchObject({
    keys: [],
    bodyBytesMax: 2 ** 20,
    bodiesBytesMax: 2 ** 23,
    requestsPerMinuteMax: 60,
  })
  // Without a limit bodies of samples are read beside the router.
  expect(optionsOf({})).not.toHaveProperty('requestsPerMinuteMax')
})
