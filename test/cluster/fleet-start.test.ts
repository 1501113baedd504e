// Shows that a fleet whose start fails, and one that is stopped, closes all it has opened, also where one part of it
// cannot be closed: what stays open would keep the process.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { pino } from 'pino'
import { afterAll, expect, it } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import type { GroupOptions, Streams } from '../../src/core/stream.ts'
import { startFleet } from '../../src/fleet.ts'
import { remove, temporaryFolder } from '../e2e/service.ts'
import { inMemory, sharedMemory } from './memory-engines.ts'

const folder = temporaryFolder()
const taken = createServer()
afterAll(() => {
  taken.close()
  remove(folder)
})

/** Producers that reject when they are closed, as where the log is away. */
function stubborn(streams: Streams): Streams {
  return new Proxy(streams, {
    get: (all, name: keyof Streams) => {
      if (name === 'producer')
        return async () => ({
          ...(await all.producer()),
          send: async () => {},
          close: async () => {
            throw new Error('cannot be closed')
          },
        })
      const value = all[name]
      return typeof value === 'function' ? value.bind(all) : value
    },
  })
}

function gateway(port: number) {
  const engines = sharedMemory(1, 1).engines()
  let isClosed = false
  const config = parseConfig({
    server: { port, grpcPort: 'off' },
    data: { folder },
    cluster: inMemory(['gateway'], 'left', 1, 1),
  })
  const started = startFleet(config, {
    logger: pino({ level: 'silent' }),
    engines: {
      ...engines,
      streams: stubborn(engines.streams),
      close: async () => {
        isClosed = true
        await engines.close()
      },
    },
  })
  return { started, isClosed: () => isClosed }
}

it('closes the engines after a start that failed', async () => {
  await new Promise<void>(done => taken.listen(0, '127.0.0.1', done))
  const { started, isClosed } = gateway((taken.address() as AddressInfo).port)
  await expect(started).rejects.toThrow(/cannot listen/)
  expect(isClosed()).toBe(true)
})

it('begins no role any more when another could not be started, and closes what was opened meanwhile', async () => {
  const engines = sharedMemory(1, 1).engines()
  let open = 0
  const groups: string[] = []
  const streams = new Proxy(engines.streams, {
    get: (all, name: keyof Streams) => {
      if (name === 'producer')
        return async () => {
          await wait(20)
          open++
          return { send: async () => {}, close: async () => void open-- }
        }
      if (name === 'group')
        return (options: GroupOptions) => {
          const group = all.group(options)
          const run = group.run.bind(group)
          group.run = owner => {
            groups.push(options.group)
            return run(owner)
          }
          return group
        }
      const value = all[name]
      return typeof value === 'function' ? value.bind(all) : value
    },
  })
  const config = parseConfig({
    server: { port: 0, grpcPort: 'off' },
    data: { folder },
    sinks: { webhooks: [{ url: 'https://example.com/', secret: 'whsec_short' }] },
    cluster: inMemory(['disruptions', 'publisher'], 'left', 1, 1),
  })
  const started = startFleet(config, {
    logger: pino({ level: 'silent' }),
    engines: { ...engines, streams },
  })
  await expect(started).rejects.toMatchObject({ code: 'FS_CONFIG_INVALID' })
  await wait(200)
  expect(groups).toEqual([])
  expect(open).toBe(0)
})

it('closes the engines when it is stopped, and tells what could not be closed', async () => {
  const { started, isClosed } = gateway(0)
  const service = await started
  await expect(service.stop()).rejects.toThrow('cannot be closed')
  expect(isClosed()).toBe(true)
})
