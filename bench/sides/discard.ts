// The floor of HTTP: a server that takes bodies in and answers as ours does, and does nothing else. Tells its address.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const server = createServer((request, response) => {
  request.on('data', () => {})
  request.on('end', () => response.writeHead(204).end())
})
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', () =>
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
)
process.once('disconnect', () => process.exit())
