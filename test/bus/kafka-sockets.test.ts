// Shows that a socket whose broker went away can be let go of again and again, as kafkajs does while the broker is away,
// and gathers nothing by it.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { kafkaSocket } from '../../src/bus/kafka-sockets.ts'

const FAILURES = 20

it('a socket that is gone gathers no listeners when it is let go of', async () => {
  const server = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = kafkaSocket({ host: '127.0.0.1', port, ssl: null, onConnect: () => {} })
  socket.on('error', () => {}) // cut off, which is what this is about
  socket.resume()
  await once(socket, 'close')
  const before = socket.listenerCount('connect')
  for (let i = 0; i < FAILURES; i++) {
    socket.end()
    socket.unref()
  }
  expect(socket.listenerCount('connect')).toBe(before)
})
